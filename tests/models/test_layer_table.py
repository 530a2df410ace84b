"""The table of layers, compared with the installed Keras."""

from __future__ import annotations

import inspect

import keras
import pytest
from pydantic import TypeAdapter, ValidationError

from pipeline.models.layer_table import LAYERS, REQUIRED, Layers

# Arguments of Keras that the table leaves out: the tool sets them, or they have no use here.
LEFT_OUT = {
    "activity_regularizer",
    "axis",
    "data_format",
    "groups",
    "interpolation",
    "keepdims",
    "kwargs",
    "noise_shape",
    "quantization_config",
    "renorm",
    "renorm_clipping",
    "renorm_momentum",
    "rms_scaling",
    "seed",
    "self",
    "shared_axes",
    "lora_alpha",
    "lora_rank",
    "name",
    "dtype",
    "synchronized",
}


@pytest.mark.parametrize("name", LAYERS)
def test_arguments_and_defaults_are_keras_own(name: str) -> None:
    signature = inspect.signature(getattr(keras.layers, name).__init__)
    expected = {
        key: REQUIRED if value.default is value.empty else value.default
        for key, value in signature.parameters.items()
        if not key.endswith(("_constraint", "_initializer", "_regularizer")) and key not in LEFT_OUT
    }
    ones = {(1, 1): 1}  # Keras takes a number for both sides

    def plain(default: object) -> object:
        return ones.get(default, default) if isinstance(default, tuple) else default

    given = {key: plain(default) for key, (_, default) in LAYERS[name].arguments.items()}
    assert given == {key: plain(default) for key, default in expected.items()}


@pytest.mark.parametrize("entry", ["Flatten", {"Flatten": None}, {"Flatten": {}}])
def test_a_layer_without_arguments_is_its_name(entry: object) -> None:
    (layer,) = TypeAdapter(Layers).validate_python([entry])
    assert layer.model_dump() == {"Flatten": {}}


def test_an_empty_list_is_an_error() -> None:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(Layers).validate_python([])
    (error,) = caught.value.errors()
    assert error["ctx"]["wording"] == "one layer or more"
