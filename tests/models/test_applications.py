"""The table of networks, compared with the installed Keras."""

from __future__ import annotations

import inspect

import keras
import pytest

from pipeline.models.applications import APPLICATIONS


def test_the_table_lists_every_network_of_keras_applications() -> None:
    constructors = {
        name
        for name, member in vars(keras.applications).items()
        if inspect.isfunction(member) and name[0].isupper()
    }
    assert set(APPLICATIONS) == constructors


@pytest.mark.parametrize("name", sorted(APPLICATIONS))
def test_each_network_comes_from_the_module_with_its_preprocessing(name: str) -> None:
    module = APPLICATIONS[name].module
    assert getattr(keras.applications, name).__module__ == f"keras.src.applications.{module}"
    assert callable(getattr(keras.applications, module).preprocess_input)


@pytest.mark.parametrize("name", ["MobileNetV2", "InceptionV3", "Xception"])
def test_min_side_is_the_smallest_image_that_keras_accepts(name: str) -> None:
    smallest = APPLICATIONS[name].min_side
    constructor = getattr(keras.applications, name)
    constructor(include_top=False, weights=None, input_shape=(smallest, smallest, 3))
    too_small = (smallest - 1, smallest - 1, 3)
    with pytest.raises(ValueError, match="at least"):
        constructor(include_top=False, weights=None, input_shape=too_small)
