"""Choose the engines of a frozen graph by a race on real images, under a guard."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
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
from pipeline.features.compared_features import (
    ComparedFeatures,
    read_pixels,
)
from pipeline.features.head_agreement import compare_heads
from pipeline.processor import has_bfloat16, processor_name

logger = logging.getLogger(__name__)

_FORMAT = 4  # of a kept choice; with another number, all are made again
_CALIBRATION = 64  # training images that int8 is calibrated on
# Of features, relative to their norm: rounding, but no other weights or operations.
_MAX_FLOAT32_ERROR = 1e-4
# The same in reduced precision, where too few images are of one class to compare heads.
_MAX_REDUCED_ERROR = 0.15
# Of all views, by the fastest other engine. Quantizing a network takes 4 to 20 seconds, after which
# int8 takes a little more than half the time.
_MIN_SECONDS_FOR_INT8 = 35
# Of all views, by the fastest engine so far: another one takes up to 5 seconds to be compiled and
# raced, and is rarely even a tenth faster.
_MIN_SECONDS_TO_RACE = 60


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
        train: Split,
        *,
        options: EngineOptions,
        rows: int,
    ) -> None:
        """Remember what to choose for.

        Args:
            graph: what to compute.
            train: the training images. Engines are raced and compared on some of them.
            options: what may be used.
            rows: how many different views of training images may have to be computed.
        """
        self._graph, self._train = graph, train
        self.compared = ComparedFeatures(train, graph, self.compiled)
        self._options = options
        self._rows = rows
        self._compilers: dict[EngineName, Compile] = {}
        self._compiled: dict[Variant, CompiledGraph] = {}

    @functools.cached_property
    def choice(self) -> EngineChoice:
        """The choice: an earlier one on this machine, or that of a race."""
        choice = first = self._kept_choice(self._choose, with_int8=False)
        speed = first.speeds.get(str(first.training))
        if speed and not self._options.precision and self._rows / speed >= _MIN_SECONDS_FOR_INT8:
            choice = self._kept_choice(lambda: self._prefer_int8(first, speed), with_int8=True)
        for variant in self._compiled.keys() - {choice.exact, choice.training}:
            del self._compiled[variant]  # it has a copy of the weights
        return choice

    def _kept_choice(self, choose: Callable[[], EngineChoice], *, with_int8: bool) -> EngineChoice:
        facts = array_cache.get_or_compute(
            self._key(with_int8=with_int8),
            lambda directory: asdict(choose()),
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
            images = self._images(_CALIBRATION if variant.precision == "int8" else 0)
            if len(images):
                name = self._graph.network.name
                logger.info(f"Quantizing {name} to int8 on {len(images)} training images")
            self._compiled[variant] = self.compiler(variant.engine)(
                variant.precision, images, pool=self._graph.pool
            )
        return self._compiled[variant]

    def compiler(self, name: EngineName) -> Compile:
        """Return the function by which an engine compiles the graph."""
        if name not in self._compilers:
            self._compilers[name] = ENGINES[name].compiler(self._graph)
        return self._compilers[name]

    def facts(self, variant: Variant) -> dict[str, Any]:
        """Return what the bits of a variant's features depend on, serializable as JSON."""
        facts = {"engine": variant.engine, **ENGINES[variant.engine].facts(variant.precision)}
        if variant.precision == "int8":
            facts["calibration"] = self._train.digest
        return facts

    def _key(self, *, with_int8: bool) -> str:
        variants = [
            Variant(name, precision)
            for name in ("keras", *self._options.engines)
            for precision in ENGINES[name].precisions
        ]
        return array_cache.cache_key(
            {
                "format": _FORMAT,
                "graph": self._graph.digest,
                "pool": self._graph.pool,
                "processor": processor_name(),
                "images": self._train.digest,
                "options": asdict(self._options),
                "int8": with_int8,
                "engines": [ENGINES[each.engine].facts(each.precision) for each in variants],
            }
        )

    def _choose(self) -> EngineChoice:
        network, checked = self._graph.network.name, self.compared.checked_indices
        _ = self._graph.function  # traced here, because both threads need it
        with ThreadPoolExecutor(1) as thread:  # Keras computes while OpenVINO is compiled
            expected = thread.submit(self.compared.features, KERAS, checked)
            exact = next(
                (
                    variant
                    for variant in self._variants("openvino", "float32")
                    if self._is_exact(variant, expected)
                ),
                KERAS,
            )
        speeds: dict[str, float] = {}
        for precisions in self._precisions():
            raced = self._race(precisions)
            speeds |= {str(variant): round(speed, 1) for variant, speed in raced.items()}
            for variant in sorted(raced, key=lambda each: -raced[each]):
                if variant.precision == "float32":
                    if variant == exact or self._is_exact(variant, expected):
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

    def _prefer_int8(self, choice: EngineChoice, speed: float) -> EngineChoice:
        """Return a choice with int8 in training, if that is faster and passes the guard."""
        raced = self._race(("int8",))
        speeds = choice.speeds | {str(each): round(found, 1) for each, found in raced.items()}
        for variant, found in raced.items():
            agreement = self._agreement(choice.exact, variant) if found > speed else None
            if agreement is not None:
                return EngineChoice(choice.exact, variant, speeds, *agreement)
        return replace(choice, speeds=speeds)

    def _precisions(self) -> list[tuple[Precision, ...]]:
        """Return the precisions to race, preferred ones first."""
        if self._options.precision:
            return [(self._options.precision,)]
        return [("bfloat16",), ("float32",)] if has_bfloat16() else [("float32",)]

    def _variants(self, engine: EngineName, *precisions: Precision) -> list[Variant]:
        if engine not in self._options.engines:
            return []
        return [
            Variant(engine, precision)
            for precision in precisions
            if precision in ENGINES[engine].precisions
        ]

    def _race(self, precisions: Sequence[Precision]) -> dict[Variant, float]:
        """Return the images per second of engines that can run in one of the precisions."""
        speeds: dict[Variant, float] = {}
        for engine in self._options.engines:
            if speeds and self._rows / max(speeds.values()) < _MIN_SECONDS_TO_RACE:
                break
            for variant in self._variants(engine, *precisions):
                try:
                    # The first call traces, and allocates.
                    self.compared.features(variant, self.compared.checked_indices)
                    self.compared.features(variant, self.compared.indices)
                except Exception as error:  # a layer from a file may raise anything
                    self._refuse(variant, first_line(error, 200))
                else:
                    speeds[variant] = self.compared.speeds[variant]
        return speeds

    def _is_exact(self, variant: Variant, expected: Future[np.ndarray]) -> bool:
        try:
            features = self.compared.features(variant, self.compared.checked_indices)
        except Exception as failure:  # a layer from a file may raise anything
            self._refuse(variant, first_line(failure, 200))
            return False
        error = relative_error(features, expected.result())
        if error > _MAX_FLOAT32_ERROR:
            self._refuse(variant, f"its features differ from Keras's by {error:.2g} of their norm")
        return error <= _MAX_FLOAT32_ERROR

    def _agreement(self, exact: Variant, variant: Variant) -> tuple[int, int] | None:
        """Return on how many images heads disagree, and of how many; None if on too many."""
        original, faster = (
            self.compared.features(each, self.compared.indices) for each in (exact, variant)
        )
        if self.compared.comparable_indices is None:
            error = relative_error(faster, original)
            if error <= _MAX_REDUCED_ERROR:
                return 0, 0
            self._refuse(variant, f"its features differ from Keras's by {error:.2g} of their norm")
            return None
        labels = self._train.strata[self.compared.indices]
        compared = compare_heads(original, faster, labels)
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
        return read_pixels(self._train, evenly_spaced(len(self._train), at_most=count))


def relative_error(actual: np.ndarray, expected: np.ndarray) -> float:
    """Return |actual - expected| / |expected|, infinity where `actual` is not finite."""
    if not np.isfinite(actual).all():
        return float("inf")
    norm = float(np.linalg.norm(expected))
    return float(np.linalg.norm(actual - expected)) / norm if norm else 0.0
