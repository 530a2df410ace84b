"""The layers of keras.layers that a recipe can list, with their arguments.

The table repeats Keras's signatures so that recipes are validated without importing Keras. A test
compares them. No layer runs code or reads a file.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, BeforeValidator, create_model

from pipeline.config import (
    Activation,
    Bool,
    Config,
    Expected,
    Fraction,
    Fraction32,
    NonNegativeFloat,
    NonNegativeInt,
    OpenFraction,
    PositiveFloat32,
    PositiveInt,
    invalid_value,
    single_key_union,
)

Pair = Annotated[
    PositiveInt | tuple[PositiveInt, PositiveInt],
    Expected("an integer, 1 or more, or [height, width], two of them"),
]
NonNegativePair = Annotated[
    NonNegativeInt | tuple[NonNegativeInt, NonNegativeInt],
    Expected("an integer, 0 or more, or [height, width], two of them"),
]
Padding = Literal["valid", "same"]

REQUIRED = ...  # as the default of an argument


class LayerSpec(NamedTuple):
    """A layer of Keras.

    Attributes:
        arguments: type and default of each argument.
        needs_feature_map: whether its input must be (n, height, width, channels).
        kernels: the prefixes of the arguments for initial weights and penalties.
    """

    arguments: dict[str, tuple[Any, Any]]
    needs_feature_map: bool = False
    kernels: tuple[str, ...] = ()


_UNITS: dict[str, tuple[Any, Any]] = {"activation": (Activation | None, None)}
_UNITS["use_bias"] = (Bool, True)
_FILTERS: dict[str, tuple[Any, Any]] = {"filters": (PositiveInt, REQUIRED)}
_WINDOW: dict[str, tuple[Any, Any]] = {
    "kernel_size": (Pair, REQUIRED),
    "strides": (Pair, (1, 1)),
    "padding": (Padding, "valid"),
    "dilation_rate": (PositiveInt, 1),
}
_ONE_STRIDE = {**_WINDOW, "strides": (PositiveInt, 1)}  # TensorFlow takes no other here
_MULTIPLIER: dict[str, tuple[Any, Any]] = {"depth_multiplier": (PositiveInt, 1)}
_POOLING: dict[str, tuple[Any, Any]] = {
    "pool_size": (Pair, (2, 2)),
    "strides": (Pair | None, None),
    "padding": (Padding, "valid"),
}
_RATE: dict[str, tuple[Any, Any]] = {"rate": (Fraction, REQUIRED)}
_NORMALIZATION: dict[str, tuple[Any, Any]] = {
    "epsilon": (PositiveFloat32, 1e-3),
    "center": (Bool, True),
    "scale": (Bool, True),
}

LAYERS: dict[str, LayerSpec] = {
    "Conv2D": LayerSpec({**_FILTERS, **_WINDOW, **_UNITS}, True, ("kernel",)),
    "DepthwiseConv2D": LayerSpec({**_ONE_STRIDE, **_MULTIPLIER, **_UNITS}, True, ("depthwise",)),
    "SeparableConv2D": LayerSpec(
        {**_FILTERS, **_ONE_STRIDE, **_MULTIPLIER, **_UNITS}, True, ("depthwise", "pointwise")
    ),
    "Dense": LayerSpec({"units": (PositiveInt, REQUIRED), **_UNITS}, kernels=("kernel",)),
    "MaxPooling2D": LayerSpec(_POOLING, True),
    "AveragePooling2D": LayerSpec({**_POOLING, "pool_size": (Pair, REQUIRED)}, True),
    "GlobalAveragePooling2D": LayerSpec({}, True),
    "GlobalMaxPooling2D": LayerSpec({}, True),
    "Flatten": LayerSpec({}),
    "ZeroPadding2D": LayerSpec({"padding": (NonNegativePair, (1, 1))}, True),
    "UpSampling2D": LayerSpec({"size": (Pair, (2, 2))}, True),
    "BatchNormalization": LayerSpec({"momentum": (Fraction32, 0.99), **_NORMALIZATION}),
    "LayerNormalization": LayerSpec(_NORMALIZATION),
    "Dropout": LayerSpec(_RATE),
    "SpatialDropout2D": LayerSpec(_RATE, True),
    "GaussianDropout": LayerSpec({"rate": (OpenFraction, REQUIRED)}),
    "GaussianNoise": LayerSpec({"stddev": (NonNegativeFloat, REQUIRED)}),
    "Activation": LayerSpec({"activation": (Activation, REQUIRED)}),
    "ReLU": LayerSpec(
        {
            "max_value": (PositiveFloat32 | None, None),
            "negative_slope": (NonNegativeFloat, 0.0),
            "threshold": (NonNegativeFloat, 0.0),
        }
    ),
    "LeakyReLU": LayerSpec({"negative_slope": (NonNegativeFloat, 0.3)}),
    "ELU": LayerSpec({"alpha": (NonNegativeFloat, 1.0)}),
    "PReLU": LayerSpec({}),
}

_WITHOUT_ARGUMENTS = tuple(
    name
    for name, layer in LAYERS.items()
    if all(default is not REQUIRED for _, default in layer.arguments.values())
)

_SECTIONS: dict[str, type[Config]] = {
    name: create_model(
        f"{name}Layer",
        __base__=Config,
        __doc__=f"keras.layers.{name}",
        **layer.arguments,  # type: ignore[call-overload]
    )
    for name, layer in LAYERS.items()
}


def _as_mapping(value: Any) -> Any:
    """Return `{Flatten: {}}` for `Flatten`, and for a `Flatten:` without a value."""
    if isinstance(value, str) and value in _WITHOUT_ARGUMENTS:
        return {value: {}}
    if isinstance(value, dict) and len(value) == 1:
        return {name: {} if inner is None else inner for name, inner in value.items()}
    return value


def _not_empty(layers: tuple[Config, ...]) -> tuple[Config, ...]:
    if not layers:
        raise invalid_value("one layer or more")
    return layers


Layers = Annotated[
    tuple[
        Annotated[
            Config,
            single_key_union(_SECTIONS, names=_WITHOUT_ARGUMENTS),
            BeforeValidator(_as_mapping),
        ],
        ...,
    ],
    AfterValidator(_not_empty),
]
