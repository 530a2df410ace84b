"""Choose the fastest precision of a frozen network that leaves its features unchanged."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf

from pipeline.errors import first_line
from pipeline.features.folding import FeatureDtype, fold_batchnorm

logger = logging.getLogger(__name__)


# How far features may differ from the original network's, relative to their norm. ImageNet
# networks in bfloat16 differ by 0.01 to 0.09, which changes no prediction on real photographs; one
# that loses the scale of its input differs by 0.4 or more.
MAX_ERROR = {"bfloat16": 0.15, "float32": 1e-3}

# float16 takes half the space of float32 and has more significant bits than bfloat16.
CACHE_DTYPES = {"bfloat16": "float16", "float32": "float32", "original": "float32"}

_BFLOAT16_FLAGS = frozenset({"avx512_bf16", "amx_bf16"})


@dataclass(frozen=True)
class FrozenNetwork:
    """A network to compute features with.

    Attributes:
        network: the original network or a folded copy of it.
        outputs: its traced function of images to outputs.
        precision: `original` is the original network in float32, the others are of folded copies.
        error: relative error of its features on sample images.
    """

    network: keras.Model
    outputs: Callable[[Any], list[Any]]
    precision: Literal["bfloat16", "float32", "original"]
    error: float


def traced_outputs(network: keras.Model) -> Callable[[Any], list[Any]]:
    """Return a function of float32 images (n, height, width, channels) to a network's outputs.

    It is traced once, for batches of any size.
    """

    @tf.function(input_signature=[tf.TensorSpec((None, *network.input_shape[1:]))])
    def outputs(images: Any) -> list[Any]:
        tensors = network(images, training=False)
        return list(tensors) if isinstance(tensors, list | tuple) else [tensors]

    return outputs


def original_network(network: keras.Model) -> FrozenNetwork:
    return FrozenNetwork(network, traced_outputs(network), "original", 0.0)


def processor_has_bfloat16() -> bool:
    """Return whether the processor has bfloat16 instructions; without them bfloat16 is slow."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    flags = next((line for line in text.splitlines() if line.startswith("flags")), "")
    return not _BFLOAT16_FLAGS.isdisjoint(flags.split())


def choose_precision(
    original: FrozenNetwork,
    sample: np.ndarray,
    *,
    pool: bool,
    wanted: FeatureDtype,
) -> FrozenNetwork:
    """Return the fastest form of a network that leaves its features on `sample` unchanged.

    Args:
        original: a functional model in float32 with one or several outputs.
        sample: real images as the network takes them (n, height, width, channels).
        pool: whether its features are its outputs averaged over rows and columns.
        wanted: the precision to try first, before float32 and the original network.
    """
    network, expected = original.network, _features(original.outputs, sample, pool, "original")
    precisions: tuple[FeatureDtype, ...] = (
        ("bfloat16", "float32") if wanted == "bfloat16" else ("float32",)
    )
    for precision in precisions:
        try:
            folded = fold_batchnorm(network, precision)
            outputs = traced_outputs(folded)
            error = relative_error(_features(outputs, sample, pool, precision), expected)
        except Exception as failure:  # a layer from a file may raise anything
            reason = first_line(failure, 200)
            logger.info(f"{network.name} cannot run in {precision} ({reason})")
            continue
        if error <= MAX_ERROR[precision]:
            return FrozenNetwork(folded, outputs, precision, error)
        logger.info(
            f"Not running {network.name} in {precision}: the relative error of its features is "
            f"{error:.2g}, more than {MAX_ERROR[precision]:g}"
        )
    return original


def relative_error(actual: np.ndarray, expected: np.ndarray) -> float:
    """Return |actual - expected| / |expected|, infinity where `actual` is not finite."""
    if not np.isfinite(actual).all():
        return float("inf")
    norm = float(np.linalg.norm(expected))
    return float(np.linalg.norm(actual - expected)) / norm if norm else 0.0


def _features(
    outputs: Callable[[Any], list[Any]], images: np.ndarray, pool: bool, precision: str
) -> np.ndarray:
    arrays = [np.asarray(output, np.float32) for output in outputs(images)]
    flat = np.concatenate([(a.mean(axis=(1, 2)) if pool else a).ravel() for a in arrays])
    with np.errstate(over="ignore"):  # an overflow is an infinite relative error
        return flat.astype(CACHE_DTYPES[precision])
