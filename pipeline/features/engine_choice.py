"""Choose the engines of a frozen graph by a race on real images, under a guard."""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pipeline import array_cache
from pipeline.data.splits import Split
from pipeline.engines.engine import (
    ENGINES,
    KERAS,
    Compile,
    EngineName,
    Precision,
    Variant,
)
from pipeline.engines.frozen_graph import CompiledGraph, FrozenGraph
from pipeline.errors import first_line
from pipeline.even_spacing import evenly_spaced
from pipeline.features.head_agreement import choose_images, compare_heads
from pipeline.processor import has_bfloat16, processor_name

logger = logging.getLogger(__name__)

_FORMAT = 1  # of a kept choice; with another number, all are made again
_CHECKED = 8  # training images on which float32 is compared with Keras
_RACED = 16  # training images that are timed
_CALIBRATION = 64  # training images that int8 is calibrated on
_BATCH_SIZE = 32
# Of features, relative to their norm: rounding, but no other weights or operations.
_MAX_FLOAT32_ERROR = 1e-4
# The same in reduced precision, where too few images are of one class to compare heads.
_MAX_REDUCED_ERROR = 0.15
# Fewer views are computed sooner than a network is quantized, which takes 4 to 20 seconds.
_MIN_ROWS_FOR_INT8 = 5000
# Of all views, by the fastest engine so far: another one takes up to 5 seconds to be compiled and
# raced, and is rarely a third faster.
_MIN_SECONDS_TO_RACE = 15


@dataclass(frozen=True)
class EngineOptions:
    """Which engines may be used.

    Attributes:
        engines: besides Keras.
        precision: of the training features; None for the fastest that passes the guard.
    """

    engines: tuple[EngineName, ...]
    precision: Precision | None


@dataclass(frozen=True)
class EngineChoice:
    """The engines of a frozen graph on this machine.

    Attributes:
        exact: computes in float32 what Keras does, up to rounding; for images that are not trained
            on, so that all metrics are those of the model that is logged.
        training: computes the features that are trained on.
        speeds: images per second in the race, by variant.
        disagreements: images to which a head trained on the training features gives another label
            than one trained on exact features.
        compared: the images that both heads predicted; 0 if there was no need, or no way.
    """

    exact: Variant
    training: Variant
    speeds: dict[str, float]
    disagreements: int
    compared: int


class EngineSelector:
    """Chooses the engines of one graph, and compiles each of them once."""

    def __init__(
        self,
        graph: FrozenGraph,
        digest: str,
        train: Split,
        *,
        options: EngineOptions,
        rows: int,
    ) -> None:
        """Remember what to choose for.

        Args:
            graph: what to compute.
            digest: of what the graph's network computes.
            train: the training images, some of which are raced and compared on.
            options: what may be used.
            rows: how many different views of training images may have to be computed.
        """
        self._graph, self._digest, self._train = graph, digest, train
        self._options = options
        self._rows, self._int8_pays = rows, rows >= _MIN_ROWS_FOR_INT8
        self._compilers: dict[EngineName, Compile] = {}
        self._compiled: dict[Variant, CompiledGraph] = {}

    @functools.cached_property
    def choice(self) -> EngineChoice:
        """The choice: an earlier one on this machine, or that of a race."""
        facts = array_cache.get_or_compute(
            self._key(),
            lambda directory: asdict(self._choose()),
            kind="engines",
            label=f"{self._graph.network.name}, engine",
            limit=2**20,
        ).facts
        return EngineChoice(
            Variant(**facts["exact"]),
            Variant(**facts["training"]),
            facts["speeds"],
            facts["disagreements"],
            facts["compared"],
        )

    def compiled(self, variant: Variant) -> CompiledGraph:
        """Return the graph as a variant computes it."""
        if variant not in self._compiled:
            name = variant.engine
            if name not in self._compilers:
                self._compilers[name] = ENGINES[name].compiler(self._graph)
            images = self._images(_CALIBRATION if variant.precision == "int8" else 0)
            self._compiled[variant] = self._compilers[name](variant.precision, images)
        return self._compiled[variant]

    def facts(self, variant: Variant) -> dict[str, Any]:
        """Return what the bits of a variant's features depend on, serializable as JSON."""
        facts = {"engine": variant.engine, **ENGINES[variant.engine].facts(variant.precision)}
        if variant.precision == "int8":
            facts["calibration"] = self._train.digest
        return facts

    def _key(self) -> str:
        variants = [
            Variant(name, precision)
            for name in ("keras", *self._options.engines)
            for precision in ENGINES[name].precisions
        ]
        return array_cache.cache_key(
            {
                "format": _FORMAT,
                "weights": self._digest,
                "input": self._graph.input_shape,
                "pool": self._graph.pool,
                "processor": processor_name(),
                "images": self._train.digest,
                "options": asdict(self._options),
                "int8": self._int8_pays,
                "engines": [ENGINES[each.engine].facts(each.precision) for each in variants],
            }
        )

    def _choose(self) -> EngineChoice:
        network, few = self._graph.network.name, self._images(_CHECKED)
        expected = self._features(KERAS, few)
        exact = next(
            (
                variant
                for variant in self._variants("openvino", "float32")
                if self._is_exact(variant, few, expected)
            ),
            KERAS,
        )
        speeds: dict[str, float] = {}
        for precisions in self._precisions():
            raced = self._race(precisions, self._images(_RACED))
            speeds |= {str(variant): round(speed, 1) for variant, speed in raced.items()}
            for variant in sorted(raced, key=lambda each: -raced[each]):
                if variant.precision == "float32":
                    if variant == exact or self._is_exact(variant, few, expected):
                        return EngineChoice(exact, variant, speeds, 0, 0)
                    continue
                agreement = self._agreement(exact, variant)
                if agreement is not None:
                    return EngineChoice(exact, variant, speeds, *agreement)
        if self._options.precision:
            logger.warning(
                f"{network} runs in float32: no engine passed the guard in "
                f"{self._options.precision}"
            )
        return EngineChoice(exact, exact, speeds, 0, 0)

    def _precisions(self) -> list[tuple[Precision, ...]]:
        """Return the precisions to race, preferred ones first."""
        if self._options.precision:
            return [(self._options.precision,)]
        reduced: tuple[Precision, ...] = ("bfloat16",) if has_bfloat16() else ()
        if self._int8_pays:
            # Raced with float32 where that is the alternative.
            return [(*(reduced or ("float32",)), "int8"), ("float32",)]
        return [reduced, ("float32",)] if reduced else [("float32",)]

    def _variants(self, engine: EngineName, *precisions: Precision) -> list[Variant]:
        if engine not in self._options.engines:
            return []
        return [
            Variant(engine, precision)
            for precision in precisions
            if precision in ENGINES[engine].precisions
        ]

    def _race(self, precisions: Sequence[Precision], images: np.ndarray) -> dict[Variant, float]:
        """Return the images per second of engines that can run in one of the precisions."""
        speeds: dict[Variant, float] = {}
        for engine in self._options.engines:
            if speeds and self._rows / max(speeds.values()) < _MIN_SECONDS_TO_RACE:
                break
            for variant in self._variants(engine, *precisions):
                try:
                    self._features(variant, images)  # traces, and allocates
                    started = time.perf_counter()
                    self._features(variant, images)
                except Exception as error:  # a layer from a file may raise anything
                    self._refuse(variant, first_line(error, 200))
                else:
                    speeds[variant] = len(images) / (time.perf_counter() - started)
        return speeds

    def _is_exact(self, variant: Variant, images: np.ndarray, expected: np.ndarray) -> bool:
        try:
            error = relative_error(self._features(variant, images), expected)
        except Exception as failure:  # a layer from a file may raise anything
            self._refuse(variant, first_line(failure, 200))
            return False
        if error > _MAX_FLOAT32_ERROR:
            self._refuse(variant, f"its features differ from Keras's by {error:.2g} of their norm")
        return error <= _MAX_FLOAT32_ERROR

    def _agreement(self, exact: Variant, variant: Variant) -> tuple[int, int] | None:
        """Return on how many images heads disagree, and of how many; None if on too many."""
        indices = choose_images(self._train.strata)
        some = self._read(indices) if indices is not None else self._images(_CHECKED)
        original, faster = self._features(exact, some), self._features(variant, some)
        if indices is None:
            error = relative_error(faster, original)
            if error <= _MAX_REDUCED_ERROR:
                return 0, 0
            self._refuse(variant, f"its features differ from Keras's by {error:.2g} of their norm")
            return None
        compared = compare_heads(original, faster, self._train.strata[indices])
        if compared.is_sufficient:
            return compared.disagreements, compared.images
        self._refuse(
            variant,
            f"heads trained on its features predict another label for {compared.disagreements} of "
            f"{compared.images} training images",
        )
        return None

    def _refuse(self, variant: Variant, reason: str) -> None:
        logger.info(f"Not running {self._graph.network.name} with {variant}: {reason}")

    def _images(self, count: int) -> np.ndarray:
        """Return evenly spaced training images, float32 (count, height, width, channels)."""
        if not count:
            return np.empty((0, *self._graph.input_shape), np.float32)
        return self._read(np.array(evenly_spaced(len(self._train), at_most=count)))

    def _read(self, indices: np.ndarray) -> np.ndarray:
        return self._train.images.read(indices).astype(np.float32)

    def _features(self, variant: Variant, images: np.ndarray) -> np.ndarray:
        """Return the activations of images, averaged over rows and columns, float32 (n, units)."""
        parts, dtype = [], variant.storage_dtype
        for activations in self.compiled(variant).run(_batches(images)):
            means = [array.mean(axis=tuple(range(1, array.ndim - 1))) for array in activations]
            with np.errstate(over="ignore"):  # an overflow is infinite, which no guard lets pass
                parts.append(np.concatenate(means, axis=1).astype(dtype))
        return np.concatenate(parts).astype(np.float32)


def _batches(images: np.ndarray) -> Iterable[np.ndarray]:
    return (images[start : start + _BATCH_SIZE] for start in range(0, len(images), _BATCH_SIZE))


def relative_error(actual: np.ndarray, expected: np.ndarray) -> float:
    """Return |actual - expected| / |expected|, infinity where `actual` is not finite."""
    if not np.isfinite(actual).all():
        return float("inf")
    norm = float(np.linalg.norm(expected))
    return float(np.linalg.norm(actual - expected)) / norm if norm else 0.0
