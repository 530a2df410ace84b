"""A network of layers that the recipe lists."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, Literal

from pydantic import Field

from pipeline.config import Finding, KeyPath, unwrap_single_key
from pipeline.errors import ModelError
from pipeline.models.architecture_config import ArchitectureConfig
from pipeline.models.layer_table import LAYERS, Layers
from pipeline.models.regularization import RegularizationConfig
from pipeline.models.standardization import Standardize

_NORMALIZATIONS = ("BatchNormalization", "LayerNormalization")
_ACTIVATIONS = {"ELU": "elu", "LeakyReLU": "leaky_relu", "PReLU": "leaky_relu", "ReLU": "relu"}

Size = tuple[int, int]  # height and width of a feature map


class SequentialConfig(ArchitectureConfig):
    """Layers of keras.layers, one after another; the output layer follows them."""

    takes_numbers: ClassVar[bool] = True
    lists_layers: ClassVar[bool] = True

    architecture: Literal["sequential"]
    layers: Layers = Field(description="Layers before the output layer, in this order.")

    @property
    def has_hidden_layers(self) -> bool:
        return any(LAYERS[name].kernels for name, _ in map(unwrap_single_key, self.layers))

    def layer_problems(self, size: Size | None) -> Iterator[Finding]:
        are_images = size is not None
        for number, entry in enumerate(self.layers):
            name, layer = unwrap_single_key(entry)
            path: KeyPath = ("layers", number, name)
            if size is None and LAYERS[name].needs_feature_map:
                reason = "a layer before it returns a vector" if are_images else "the data has none"
                yield path, f"needs a feature map, but {reason}."
                return
            if size is None:
                continue
            problem = _problem(layer, size)
            if problem:
                yield path, problem
                return
            size = _size_after(name, layer, size)
        if size is not None:
            yield (
                ("layers",),
                f"the last layer returns a feature map of {_text(size)}, and the output layer "
                "needs a vector. Add Flatten or GlobalAveragePooling2D.",
            )

    def apply(
        self, inputs: Any, standardize: Standardize, regularization: RegularizationConfig
    ) -> Any:
        """Apply the layers to standardized inputs.

        Kernels have the penalties and the initial weights of `regularization`; `auto` looks at the
        activation that follows.
        """
        import keras

        size = tuple(inputs.shape[1:3]) if len(inputs.shape) == 4 else None
        for path, problem in self.layer_problems(size):
            raise ModelError(f"model.{'.'.join(map(str, path))}: {problem}")
        x = standardize(inputs)
        for number, entry in enumerate(self.layers):
            name, layer = unwrap_single_key(entry)
            arguments = layer.model_dump()
            kernel = regularization.kernel_arguments(self._activation_after(number))
            for prefix in LAYERS[name].kernels:
                arguments[f"{prefix}_initializer"] = kernel["kernel_initializer"]
                arguments[f"{prefix}_regularizer"] = kernel["kernel_regularizer"]
            x = getattr(keras.layers, name)(**arguments)(x)
        return x

    def _activation_after(self, number: int) -> str:
        """Return the activation of a layer's output, behind normalization."""
        for entry in self.layers[number:]:
            name, layer = unwrap_single_key(entry)
            activation = getattr(layer, "activation", None) or _ACTIVATIONS.get(name)
            if activation:
                return str(activation)
            if entry is not self.layers[number] and name not in _NORMALIZATIONS:
                break
        return "linear"


def _problem(layer: Any, size: Size) -> str:
    """Return why a layer cannot be applied to a feature map of this size, or an empty string."""
    if not hasattr(layer, "strides"):
        return ""
    dilation = getattr(layer, "dilation_rate", 1)
    if dilation > 1 and max(_pair(layer.strides)) > 1:
        return "strides and dilation_rate cannot both be above 1."
    window = _window(layer)
    if layer.padding == "valid" and (window[0] > size[0] or window[1] > size[1]):
        key = "pool_size" if hasattr(layer, "pool_size") else "kernel_size"
        return (
            f"its window of {_text(window)} is larger than its input of {_text(size)}. Set a "
            f"smaller {key}, padding: same, or a larger data.image_size."
        )
    return ""


def _size_after(name: str, layer: Any, size: Size) -> Size | None:
    """Return the size of the feature map that a layer returns, None if it returns a vector."""
    if name == "Flatten" or name.startswith("Global"):
        return None
    height, width = size
    if name == "ZeroPadding2D":
        rows, columns = _pair(layer.padding)
        return height + 2 * rows, width + 2 * columns
    if name == "UpSampling2D":
        rows, columns = _pair(layer.size)
        return height * rows, width * columns
    if not hasattr(layer, "strides"):
        return size
    strides = _pair(layer.pool_size if layer.strides is None else layer.strides)
    window = _window(layer) if layer.padding == "valid" else (1, 1)
    return (height - window[0]) // strides[0] + 1, (width - window[1]) // strides[1] + 1


def _window(layer: Any) -> Size:
    dilation = getattr(layer, "dilation_rate", 1)
    rows, columns = _pair(layer.pool_size if hasattr(layer, "pool_size") else layer.kernel_size)
    return (rows - 1) * dilation + 1, (columns - 1) * dilation + 1


def _pair(value: Any) -> Size:
    return value if isinstance(value, tuple) else (value, value)


def _text(size: Size) -> str:
    return f"{size[0]}×{size[1]}"
