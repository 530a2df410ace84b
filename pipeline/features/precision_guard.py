"""Which precision a frozen network computes in, and whether its features are still the same."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import tensorflow as tf

from pipeline.errors import first_line
from pipeline.features.folding import FeatureDtype, fold_batchnorm

logger = logging.getLogger(__name__)

if TYPE_CHECKING:
    import keras

# Features may differ from the stock network's by this share of their norm. ImageNet networks in
# bfloat16 differ by 0.01 to 0.09, which changes no prediction on real photographs; one that loses
# its input's scale differs by 0.4 and more.
MAX_ERROR = {"bfloat16": 0.15, "float32": 1e-3}

# float16 is half the size of float32, and finer than the bfloat16 that is computed in.
CACHE_DTYPES = {"bfloat16": "float16", "float32": "float32", "stock": "float32"}

_BFLOAT16_FLAGS = frozenset({"avx512_bf16", "amx_bf16"})


@dataclass(frozen=True)
class FrozenNetwork:
    """A network to compute features with.

    Attributes:
        network: compiled, or the stock one.
        outputs: what it computes, as `traced` returns it.
        precision: what it computes in; `stock` is float32 and not compiled.
        error: relative distance of its features from the stock network's on sample images.
    """

    network: keras.Model
    outputs: Callable[[Any], list[Any]]
    precision: Literal["bfloat16", "float32", "stock"]
    error: float


def traced_outputs(network: keras.Model) -> Callable[[Any], list[Any]]:
    """Return the function of float32 images (n, height, width, channels) to a network's outputs.

    It is traced once, for batches of any size: layer by layer, the first one takes seconds.
    """

    @tf.function(input_signature=[tf.TensorSpec((None, *network.input_shape[1:]))])
    def outputs(images: Any) -> list[Any]:
        found = network(images, training=False)
        return list(found) if isinstance(found, list | tuple) else [found]

    return outputs


def stock_network(network: keras.Model) -> FrozenNetwork:
    """Return a network as it is."""
    return FrozenNetwork(network, traced_outputs(network), "stock", 0.0)


def processor_has_bfloat16() -> bool:
    """Return whether the processor multiplies in bfloat16 itself; without that it is slower."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    flags = next((line for line in text.splitlines() if line.startswith("flags")), "")
    return not _BFLOAT16_FLAGS.isdisjoint(flags.split())


def choose_precision(
    stock: FrozenNetwork,
    sample: np.ndarray,
    *,
    pool: bool,
    wanted: FeatureDtype,
) -> FrozenNetwork:
    """Return the fastest form of a network whose features on `sample` are the stock network's.

    Args:
        stock: a functional model in float32 with one output or several, as it is.
        sample: real images as the network takes them (n, height, width, channels).
        pool: whether its features are the outputs' means over their places.
        wanted: the precision to try first; float32 and the stock network come after it.
    """
    network, expected = stock.network, _flat(stock.outputs, sample, pool, "stock")
    order: tuple[FeatureDtype, ...] = (
        ("bfloat16", "float32") if wanted == "bfloat16" else ("float32",)
    )
    for precision in order:
        try:
            faster = fold_batchnorm(network, precision)
            outputs = traced_outputs(faster)
            error = relative_error(_flat(outputs, sample, pool, precision), expected)
        except Exception as failure:  # a layer from elsewhere may raise anything
            reason = first_line(failure, 200)
            logger.info(f"{network.name} cannot be compiled in {precision} ({reason})")
            continue
        if error <= MAX_ERROR[precision]:
            return FrozenNetwork(faster, outputs, precision, error)
        logger.info(
            f"{network.name} in {precision} gives features that are {error:.2g} off, more than "
            f"{MAX_ERROR[precision]:g}: not used"
        )
    return stock


def relative_error(received: np.ndarray, expected: np.ndarray) -> float:
    """Return the norm of the difference as a share of the norm of what was expected.

    What is not finite counts as infinitely far off.
    """
    if not np.isfinite(received).all():
        return float("inf")
    norm = float(np.linalg.norm(expected))
    return float(np.linalg.norm(received - expected)) / norm if norm else 0.0


def _flat(
    outputs: Callable[[Any], list[Any]], images: np.ndarray, pool: bool, precision: str
) -> np.ndarray:
    arrays = [np.asarray(output, np.float32) for output in outputs(images)]
    flat = np.concatenate([(a.mean(axis=(1, 2)) if pool else a).ravel() for a in arrays])
    with np.errstate(over="ignore"):  # what is too large to be kept counts as infinitely far off
        return flat.astype(CACHE_DTYPES[precision])
