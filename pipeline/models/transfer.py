"""Transfer learning: a new head on a frozen, pretrained base."""

from __future__ import annotations

import os
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, model_serializer

from pipeline.config import (
    Activation,
    Bool,
    FilePath,
    Finding,
    PositiveInt,
    RunReference,
    invalid_value,
    is_run_reference,
)
from pipeline.errors import ModelError, first_line
from pipeline.models.applications import APPLICATIONS
from pipeline.models.architecture_config import ArchitectureConfig
from pipeline.models.base_file import load_base_file
from pipeline.models.layers import OutputLayer, apply_output, dense_head
from pipeline.models.regularization import RegularizationConfig
from pipeline.models.standardization import Standardize
from pipeline.suggestions import did_you_mean

if TYPE_CHECKING:
    import keras

PREPARED = "prepared"  # name of the layer before the base
FEATURES = "features"  # name of the layer before the head


def _known_base(value: Any) -> Any:
    is_name = isinstance(value, str) and value in APPLICATIONS
    is_path = isinstance(value, Path) or (isinstance(value, str) and value.endswith(".keras"))
    if not is_name and not is_path:
        raise invalid_value(
            "a network of keras.applications or the path of a .keras file",
            did_you_mean(str(value), APPLICATIONS) or f" Available: {', '.join(APPLICATIONS)}.",
        )
    return value


if TYPE_CHECKING:
    Base = str | FilePath
else:  # so that the JSON Schema lists the names
    Base = Annotated[Literal[tuple(APPLICATIONS)] | FilePath, BeforeValidator(_known_base)]


class TransferConfig(ArchitectureConfig):
    """A new head on the features of a pretrained base, frozen unless `train_base` is true."""

    has_base: ClassVar[bool] = True

    architecture: Literal["transfer"]
    base: Base = Field(description="A network of keras.applications, or the path of a .keras file.")
    weights: Literal["imagenet"] | RunReference | FilePath | None = Field(  # type: ignore[assignment]
        "imagenet",
        description="imagenet, the path of a .weights.h5 file, a run with the same base "
        "(runs:/NAME, runs:/ID or models:/NAME@ALIAS), or null for random weights.",
        union_mode="left_to_right",
    )
    train_base: Bool = Field(
        False,
        description="Train the whole base with the head, its batch normalization and its dropout "
        "included. false: the base is frozen, up to the layers of training.fine_tune.",
    )
    hidden: tuple[PositiveInt, ...] = Field((), description="Units of the head's hidden layers.")
    activation: Activation = Field("relu", description="Activation of the hidden layers.")

    @property
    def has_hidden_layers(self) -> bool:
        return bool(self.hidden)

    @property
    def has_dropout(self) -> bool:
        return True  # of the features if the head has no hidden layers

    @property
    def has_frozen_base(self) -> bool:
        return not self.train_base

    @property
    def has_random_base(self) -> bool:
        return self.has_frozen_base and self.application is not None and self.weights is None

    @property
    def application(self) -> str | None:
        """The name of the network in keras.applications; None if the base is a file."""
        return self.base if isinstance(self.base, str) else None

    @model_serializer(mode="wrap")
    def _omit_unused_weights(self, handler: Any) -> dict[str, Any]:
        values: dict[str, Any] = handler(self)
        if not self.application:
            values.pop("weights", None)
        return values

    def problems(self) -> Iterator[Finding]:
        for key, value in (("base", self.base), ("weights", self.weights)):
            if isinstance(value, Path) and not os.path.isfile(value):  # noqa: PTH113, never raises
                yield (key,), f"the file {value} does not exist."
        if not self.application and "weights" in self.model_fields_set:
            remedy = "Remove this key, as with --set model.weights=."
            yield ("weights",), f"{self.base} contains its own weights. {remedy}"

    def image_size_problem(self, height: int, width: int) -> str:
        side = APPLICATIONS[self.application].min_side if self.application else 1
        fits = min(height, width) >= side
        return "" if fits else f"{self.base} accepts at least [{side}, {side}]"

    def apply(
        self, inputs: Any, standardize: Standardize, regularization: RegularizationConfig
    ) -> Any:
        """Apply preprocessing → base → pooling → head. A frozen base is in inference mode."""
        import keras

        _, height, width, channels = inputs.shape
        x = keras.layers.Concatenate(name="rgb")([inputs] * 3) if channels == 1 else inputs
        if self.application:
            module = getattr(keras.applications, APPLICATIONS[self.application].module)
            x = module.preprocess_input(x)
        base = self._build_base((height, width, 3))
        x = keras.layers.Identity(name=PREPARED)(x)
        x = base(x) if self.train_base else base(x, training=False)
        if len(x.shape) == 4:
            x = keras.layers.GlobalAveragePooling2D(name=FEATURES)(x)
        elif len(x.shape) == 2:
            x = keras.layers.Identity(name=FEATURES)(x)
        else:
            raise ModelError(
                "model.base: expected a network whose output is a feature map (n, height, width, "
                f"channels) or features (n, units). Received an output of shape {x.shape}."
            )
        return self._apply_head(x, regularization)

    def build_head(
        self,
        *,
        features: int,
        output: OutputLayer,
        regularization: RegularizationConfig,
    ) -> keras.Model:
        """Return the head alone, with the same initial weights as in `build`.

        Args:
            features: units of its input.
            output: as in `build`.
            regularization: as in `build`.
        """
        import keras

        inputs = keras.Input((features,), name=FEATURES)
        x = self._apply_head(inputs, regularization)
        outputs = apply_output(x, output, regularization)
        return keras.Model(inputs, outputs, name="head")

    def _apply_head(self, x: Any, regularization: RegularizationConfig) -> Any:
        return dense_head(x, self.hidden, self.activation, regularization)

    def _build_base(self, input_shape: tuple[int, int, int]) -> keras.Model:
        # Keras draws all its seeds from Python's random generator. The initial weights of a head
        # must not depend on how its base was made.
        random_state = random.getstate()
        if self.application:
            # Those of a run are loaded into the built model.
            weights = None if is_run_reference(self.weights) else self.weights
            base = _load_application(self.application, weights, input_shape)
        else:
            base = load_base_file(Path(self.base), input_shape)
        random.setstate(random_state)
        _set_trainable(base, self.train_base)
        if not self.train_base:
            _disable_dropout(base)
        return base


def base_of(model: keras.Model) -> keras.Model:
    """Return the base of a model that `TransferConfig.build` returned."""
    import keras

    return next(layer for layer in model.layers if isinstance(layer, keras.Model))


def layer_index(model: keras.Model, start: str | int) -> int:
    """Return the index of the operation of the base where fine-tuning starts.

    Args:
        model: a model that `TransferConfig.build` returned.
        start: the name of the first layer to train, a prefix of it such as `conv5`, or the number
            of layers to train.

    Raises:
        ModelError: if the base has no such layer.
    """
    base = base_of(model)
    names = [operation.name for operation in base.operations]
    if isinstance(start, int):
        return max(len(names) - start, 1)  # after the input
    if start in names:
        return names.index(start)
    matching = [i for i, name in enumerate(names) if name.startswith(start)]
    if matching:
        return matching[0]
    with_weights = [layer.name for layer in base.layers if layer.weights]
    raise ModelError(
        f"training.fine_tune.from: {base.name} has no layer or stage '{start}'."
        f"{did_you_mean(start, with_weights)} "
        f"The last layers with weights: {', '.join(with_weights[-8:])}."
    )


def check_fine_tuning(model: keras.Model, start: str | int, *, batch_norm: bool) -> None:
    """Check that fine-tuning from a layer trains weights of the base.

    Args:
        model: a model that `TransferConfig.build` returned.
        start: as `layer_index` takes it.
        batch_norm: as `unfreeze` takes it.

    Raises:
        ModelError: if the base has no such layer, or no weights to train from there on.
    """
    base = base_of(model)
    trained = _trained_layers(base, layer_index(model, start))
    if not any(_weights_to_train(layer, batch_norm) for layer in trained):
        learning = [layer.name for layer in base.layers if _weights_to_train(layer, batch_norm)]
        raise ModelError(
            f"training.fine_tune.from: {base.name} has no weights to train from '{start}' on. "
            f"The last layers with weights to train: {', '.join(learning[-8:])}."
        )


def unfreeze(model: keras.Model, first: int, *, batch_norm: bool) -> int:
    """Make the end of the base trainable. Its dropout is active there, and not before.

    Args:
        model: a model that `TransferConfig.build` returned.
        first: the index of the first operation to train, from `layer_index`.
        batch_norm: whether batch normalization is trained too.

    Returns:
        The number of additional trainable parameters.
    """
    base = base_of(model)
    base.trainable = True
    trained = {layer.name for layer in _trained_layers(base, first)}
    for layer in base.layers:
        layer.trainable = layer.name in trained
        if layer.trainable:
            _enable_dropout(layer)
    for layer in _leaves(base):
        if not _learns(layer, batch_norm):
            layer.trainable = False
    return sum(weight.shape.num_elements() for weight in base.trainable_variables)


def _trained_layers(base: keras.Model, first: int) -> list[Any]:
    """Return the layers that fine-tuning from an operation trains."""
    trained = {operation.name for operation in base.operations[first:]}
    return [layer for layer in base.layers if layer.name in trained]


def _weights_to_train(layer: Any, batch_norm: bool) -> list[Any]:
    leaves = (leaf for leaf in _leaves(layer) if _learns(leaf, batch_norm))
    return [weight for leaf in leaves for weight in leaf.weights]


def _learns(layer: Any, batch_norm: bool) -> bool:
    """Return whether a layer is trained if its part of the base is."""
    import keras

    return batch_norm or not isinstance(layer, keras.layers.BatchNormalization)


def _set_trainable(layer: Any, value: bool) -> None:
    """Make a layer trainable or not, and the layers of a model.

    Keras does not pass it on to the layers of a model that was made of another model's layers.
    """
    import keras

    layer.trainable = value
    for inner in layer.layers if isinstance(layer, keras.Model) else ():
        _set_trainable(inner, value)


def layer_rates(model: keras.Model, decay: float) -> list[tuple[Any, float]]:
    """Return the weights of the base that are trained, with a factor of their learning rate.

    It is `decay` for the last layer, its square for the one before, and so on (Howard and Ruder,
    2018; Clark et al., 2020). Layers without a kernel, such as normalization, are counted with the
    one before them.

    Args:
        model: a model that `TransferConfig.build` returned.
        decay: from 0 to 1.
    """
    groups: list[list[Any]] = []
    for layer in _leaves(base_of(model)):
        weights = layer.trainable_weights
        if weights and (not groups or any(len(weight.shape) > 1 for weight in weights)):
            groups.append([])
        if weights:
            groups[-1] += weights
    return [
        (weight, decay**depth)
        for depth, weights in enumerate(reversed(groups), start=1)
        for weight in weights
    ]


def _disable_dropout(base: keras.Model) -> None:
    """Set the rate of all dropout layers of a base to 0.

    In training, a functional model passes `training=True` to its layers even if it was called with
    `training=False`, and dropout, unlike batch normalization, ignores `trainable`.
    """
    for layer in _dropout_layers(base):
        layer.rate_in_training, layer.rate = layer.rate, 0.0


def _enable_dropout(layer: Any) -> None:
    for dropout in _dropout_layers(layer):
        dropout.rate = dropout.rate_in_training


def _dropout_layers(layer: Any) -> Iterator[Any]:
    import keras

    return (leaf for leaf in _leaves(layer) if isinstance(leaf, keras.layers.Dropout))


def _leaves(layer: Any) -> Iterator[Any]:
    """Yield a layer, or the layers of a model and of the models inside it."""
    import keras

    if isinstance(layer, keras.Model):
        for inner in layer.layers:
            yield from _leaves(inner)
    else:
        yield layer


def _load_application(
    name: str, weights: str | Path | None, input_shape: tuple[int, int, int]
) -> keras.Model:
    import keras

    constructor = getattr(keras.applications, name)
    source = str(weights) if weights else None
    try:
        return constructor(include_top=False, weights=source, input_shape=input_shape)
    except Exception as error:  # Keras raises a bare Exception if a download fails
        if weights == "imagenet":
            raise ModelError(missing_weights_message(name, str(error))) from None
        raise ModelError(
            f"model.weights: {weights} does not fit {name} without its top. {first_line(error)}"
        ) from None


def missing_weights_message(name: str, message: str) -> str:
    """Return how to get weights that Keras failed to download with this message."""
    address = re.search(r"https?://\S+/([^\s/:]+)", message)
    if not address:
        return f"model.weights: the ImageNet weights of {name} cannot be loaded. {message}"
    return (
        f"model.weights: the ImageNet weights of {name} could not be downloaded: the file "
        f"{address[1]} is missing. Download {address[0].rstrip(':')} on another machine and copy "
        f"it to ~/.keras/models/, or set model.weights to its path. ({first_line(message)})"
    )
