"""Transfer learning: a frozen network that has seen many images, under a new head."""

from __future__ import annotations

import contextlib
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from pipeline import keras_files
from pipeline.config import Activation, FilePath, OutputActivation, PositiveInt, invalid_value
from pipeline.errors import ModelError, first_line
from pipeline.models.applications import APPLICATIONS
from pipeline.models.architecture_config import ArchitectureConfig
from pipeline.models.layers import dense_stack, dropout, output_layer
from pipeline.models.regularization import RegularizationConfig
from pipeline.suggestions import did_you_mean

if TYPE_CHECKING:
    import keras

PREPARED = "prepared"  # the layer whose output the base takes
FEATURES = "features"  # the layer whose output the head takes


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
else:  # the JSON Schema lists the names
    Base = Annotated[Literal[tuple(APPLICATIONS)] | FilePath, BeforeValidator(_known_base)]


class TransferConfig(ArchitectureConfig):
    """A frozen base network and a new head on its features."""

    architecture: Literal["transfer"]
    base: Base = Field(description="A network of keras.applications, or the path of a .keras file.")
    weights: Literal["imagenet"] | FilePath | None = Field(
        "imagenet", description="imagenet, the path of a .weights.h5 file, or null for untrained."
    )
    hidden: tuple[PositiveInt, ...] = Field((), description="Units of the head's hidden layers.")
    activation: Activation = Field("relu", description="What follows each hidden layer.")

    @property
    def application(self) -> str | None:
        """The name of the network in keras.applications, None where the base is a file."""
        return self.base if isinstance(self.base, str) else None


CONFIG = TransferConfig


def build(
    config: TransferConfig,
    *,
    image_shape: tuple[int, int, int],
    classes: int,
    output: OutputActivation,
    regularization: RegularizationConfig,
) -> keras.Model:
    """Return preprocessing → base, frozen and in inference mode → pooling → head.

    Raises:
        ModelError: if the base or its weights cannot be had, or do not fit the images.
    """
    import keras

    channels = image_shape[2]
    pixels = keras.Input(image_shape, name="pixels")
    x = keras.layers.Concatenate(name="rgb")([pixels] * 3) if channels == 1 else pixels
    if config.application:
        module = getattr(keras.applications, APPLICATIONS[config.application].module)
        x = module.preprocess_input(x)
    with preserve_random_state():
        base = _base(config, image_shape)
    x = keras.layers.Identity(name=PREPARED)(x)
    x = base(x, training=False)
    if len(x.shape) == 4:
        x = keras.layers.GlobalAveragePooling2D(name=FEATURES)(x)
    elif len(x.shape) == 2:
        x = keras.layers.Identity(name=FEATURES)(x)
    else:
        raise ModelError(
            f"model.base: expected a network that ends in a feature map (n, height, width, "
            f"channels) or in features (n, units). Received an output of shape {x.shape}."
        )
    x = _head(x, config, classes=classes, output=output, regularization=regularization)
    return keras.Model(pixels, x, name="transfer")


def build_head(
    config: TransferConfig,
    *,
    features: int,
    classes: int,
    output: OutputActivation,
    regularization: RegularizationConfig,
) -> keras.Model:
    """Return the head alone, with the weights that it has in what `build` returns.

    Args:
        config: the section of the recipe.
        features: units that the head takes.
        classes: the number of classes.
        output: what it ends in.
        regularization: what the hidden layers are held back by.
    """
    import keras

    x = keras.Input((features,), name=FEATURES)
    y = _head(x, config, classes=classes, output=output, regularization=regularization)
    return keras.Model(x, y, name="head")


def _head(
    x: Any,
    config: TransferConfig,
    *,
    classes: int,
    output: OutputActivation,
    regularization: RegularizationConfig,
) -> Any:
    if not config.hidden:
        x = dropout(x, regularization)
    x = dense_stack(x, config.hidden, config.activation, regularization)
    return output_layer(x, classes, output, regularization)


def _base(config: TransferConfig, image_shape: tuple[int, int, int]) -> keras.Model:
    height, width, _ = image_shape
    if config.application:
        base = _application(config.application, config.weights, (height, width, 3))
    else:
        base = _from_file(Path(config.base), (height, width, 3))
    base.trainable = False
    disable_dropout(base)
    return base


@contextlib.contextmanager
def preserve_random_state() -> Iterator[None]:
    """Let a head start from the same weights whatever was drawn to make its base.

    Keras takes the seed of each random layer and initializer from Python's own generator.
    """
    state = random.getstate()
    yield
    random.setstate(state)


def base_of(model: keras.Model) -> keras.Model:
    """Return the base network inside a model that `build` made."""
    import keras

    return next(layer for layer in model.layers if isinstance(layer, keras.Model))


def layer_index(model: keras.Model, start: str | int) -> int:
    """Return the place among the base's operations where fine-tuning starts.

    Args:
        model: what `build` returned.
        start: the first layer to learn, by name; or the beginning of its name, as `conv5`; or the
            number of layers at the end.

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
        f"Its last layers with weights: {', '.join(with_weights[-8:])}."
    )


def unfreeze(model: keras.Model, first: int) -> int:
    """Let the end of the base learn; batch normalization stays frozen, in inference mode.

    Args:
        model: what `build` returned.
        first: the place of the first operation to learn, as `place_of` gives it.

    Returns:
        The number of weights that learn now and did not before.
    """
    import keras

    base = base_of(model)
    before = _count(model.trainable_variables)
    base.trainable = True
    late = {operation.name for operation in base.operations[first:]}
    for layer in base.layers:
        layer.trainable = layer.name in late
    for layer in _leaves(base):
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False
    return _count(model.trainable_variables) - before


def _count(weights: list[Any]) -> int:
    return sum(weight.shape.num_elements() for weight in weights)


def disable_dropout(base: keras.Model) -> None:
    """Take the dropout out of a base.

    A functional model hands `training=True` down to its layers even where `training=False` was
    given when it was built, and dropout, unlike batch normalization, does not ask whether it is
    frozen.
    """
    import keras

    for layer in _leaves(base):
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0


def _leaves(network: keras.Model) -> Iterator[Any]:
    """Yield the layers of a network and of the networks inside it."""
    import keras

    for layer in network.layers:
        if isinstance(layer, keras.Model):
            yield from _leaves(layer)
        else:
            yield layer


def _application(
    name: str, weights: str | Path | None, input_shape: tuple[int, int, int]
) -> keras.Model:
    import keras

    constructor = getattr(keras.applications, name)
    try:
        return constructor(
            include_top=False,
            weights=str(weights) if weights else None,
            input_shape=input_shape,
        )
    except Exception as error:  # Keras raises bare Exception where a download fails
        if weights == "imagenet":
            raise ModelError(missing_weights_message(name, str(error))) from None
        raise ModelError(
            f"model.weights: {weights} does not fit {name} without its top. {first_line(error)}"
        ) from None


def missing_weights_message(name: str, message: str) -> str:
    address = re.search(r"https?://\S+/([^\s/:]+)", message)
    if not address:
        return f"model.weights: the ImageNet weights of {name} cannot be used. {message}"
    return (
        f"model.weights: the ImageNet weights of {name} could not be downloaded: the file "
        f"{address[1]} is missing. Either fetch {address[0].rstrip(':')} elsewhere and put it into "
        f"~/.keras/models/, or give its path as model.weights. ({first_line(message)})"
    )


def _from_file(path: Path, input_shape: tuple[int, int, int]) -> keras.Model:
    import keras

    try:
        base = keras_files.load_keras_file(path)
    except ModelError as error:
        raise ModelError(f"model.base: {error}") from None
    expected = tuple(base.input_shape[1:]) if isinstance(base.input_shape, tuple) else None
    fits = (
        expected is not None
        and len(expected) == 3
        and all(side in (None, given) for side, given in zip(expected, input_shape, strict=True))
    )
    if not fits:
        raise ModelError(
            f"model.base: {path} takes images of shape {expected or base.input_shape}. "
            f"Received: {input_shape}. Set data.image_size to fit."
        )
    if expected == input_shape and not isinstance(base, keras.Sequential):
        return base
    # As a functional model of images of one size, every shape in it is known.
    functional = keras.Model(base.inputs[0], base.outputs[0], name=base.name)
    sized = keras.models.clone_model(functional, input_tensors=keras.Input(input_shape))
    sized.set_weights(base.get_weights())
    return sized
