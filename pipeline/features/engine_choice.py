"""Choose the engines of a frozen graph by a race on real images, under a guard."""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from pipeline import array_cache
from pipeline.array_cache import CachedArrays
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
from pipeline.features.known_views import view_digest
from pipeline.processor import has_bfloat16, processor_name

logger = logging.getLogger(__name__)

_FORMAT = 2  # of a kept choice; with another number, all are made again
_CHECKED = 8  # images on which float32 is compared with Keras
_RACED = 16  # training images that are timed
_CALIBRATION = 64  # training images that int8 is calibrated on
_BATCH_SIZE = 32
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


@dataclass(frozen=True)
class _Computed:
    """What a variant computed of an image.

    Attributes:
        digest: of the image, as `view_digest` returns it.
        means: the activations, averaged over rows and columns, an array (units,) for each output.
    """

    digest: bytes
    means: list[np.ndarray]


class EngineSelector:
    """Chooses the engines of one graph, and compiles each of them once."""

    def __init__(
        self,
        graph: FrozenGraph,
        digest: str,
        train: Split,
        *,
        validation: Split | None,
        options: EngineOptions,
        rows: int,
    ) -> None:
        """Remember what to choose for.

        Args:
            graph: what to compute.
            digest: of what the graph's network computes.
            train: the training images, some of which are raced and calibrated on.
            validation: the validation images; None without. Engines are compared on some of them,
                whose exact features are needed anyway, unless that would be fewer than of `train`.
            options: what may be used.
            rows: how many different views of training images may have to be computed.
        """
        self._graph, self._digest, self._train = graph, digest, train
        self._compared = _most_comparable(validation, train)
        self._options = options
        self._rows = rows
        self._compilers: dict[EngineName, Compile] = {}
        self._compiled: dict[Variant, CompiledGraph] = {}
        self._computed: dict[Variant, dict[int, _Computed]] = {}

    @functools.cached_property
    def choice(self) -> EngineChoice:
        """The choice: an earlier one on this machine, or that of a race."""
        choice = self._kept_choice(self._choose, with_int8=False)
        speed = choice.speeds.get(str(choice.training))
        if speed and not self._options.precision and self._rows / speed >= _MIN_SECONDS_FOR_INT8:
            return self._kept_choice(lambda: self._prefer_int8(choice, speed), with_int8=True)
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
            self._compiled[variant] = self.compiler(variant.engine)(
                variant.precision, images, pool=self._graph.pool
            )
        return self._compiled[variant]

    def compiler(self, name: EngineName) -> Compile:
        """Return the function by which an engine compiles the graph."""
        if name not in self._compilers:
            self._compilers[name] = ENGINES[name].compiler(self._graph)
        return self._compilers[name]

    def known(self, variant: Variant) -> list[CachedArrays]:
        """Return the features that were computed to choose, for `KnownViews`.

        There are none if the activations are larger than their averages, which were kept.
        """
        computed = list(self._computed.get(variant, {}).values())
        if not computed or any(len(shape) > 1 for shape in self._graph.output_shapes):
            return []
        digests = np.frombuffer(b"".join(one.digest for one in computed), np.uint8)
        arrays = {"digests": digests.reshape(len(computed), -1)}
        for i, of_output in enumerate(zip(*(one.means for one in computed), strict=True)):
            arrays[f"activations_{i}"] = np.stack(of_output)
        return [CachedArrays(arrays, {}, was_cached=False)]

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
                "weights": self._digest,
                "input": self._graph.input_shape,
                "pool": self._graph.pool,
                "processor": processor_name(),
                "images": [self._train.digest, self._compared.digest],
                "options": asdict(self._options),
                "int8": with_int8,
                "engines": [ENGINES[each.engine].facts(each.precision) for each in variants],
            }
        )

    def _choose(self) -> EngineChoice:
        network, few = self._graph.network.name, self._few_indices()
        _ = self._graph.function  # traced here, because both threads need it
        with ThreadPoolExecutor(1) as thread:  # Keras computes while OpenVINO is compiled
            expected = thread.submit(self._features, KERAS, few)
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

    def _prefer_int8(self, choice: EngineChoice, speed: float) -> EngineChoice:
        """Return a choice with int8 in training, if that is faster and passes the guard."""
        raced = self._race(("int8",), self._images(_RACED))
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

    def _race(self, precisions: Sequence[Precision], images: np.ndarray) -> dict[Variant, float]:
        """Return the images per second of engines that can run in one of the precisions."""
        speeds: dict[Variant, float] = {}
        for engine in self._options.engines:
            if speeds and self._rows / max(speeds.values()) < _MIN_SECONDS_TO_RACE:
                break
            for variant in self._variants(engine, *precisions):
                try:
                    self._means(variant, images)  # traces, and allocates
                    started = time.perf_counter()
                    self._means(variant, images)
                except Exception as error:  # a layer from a file may raise anything
                    self._refuse(variant, first_line(error, 200))
                else:
                    speeds[variant] = len(images) / (time.perf_counter() - started)
        return speeds

    def _is_exact(
        self, variant: Variant, indices: Sequence[int], expected: Future[np.ndarray]
    ) -> bool:
        try:
            features = self._features(variant, indices)
        except Exception as failure:  # a layer from a file may raise anything
            self._refuse(variant, first_line(failure, 200))
            return False
        error = relative_error(features, expected.result())
        if error > _MAX_FLOAT32_ERROR:
            self._refuse(variant, f"its features differ from Keras's by {error:.2g} of their norm")
        return error <= _MAX_FLOAT32_ERROR

    def _agreement(self, exact: Variant, variant: Variant) -> tuple[int, int] | None:
        """Return on how many images heads disagree, and of how many; None if on too many."""
        chosen = choose_images(self._compared.strata)
        indices = self._few_indices() if chosen is None else chosen.tolist()
        original, faster = self._features(exact, indices), self._features(variant, indices)
        if chosen is None:
            error = relative_error(faster, original)
            if error <= _MAX_REDUCED_ERROR:
                return 0, 0
            self._refuse(variant, f"its features differ from Keras's by {error:.2g} of their norm")
            return None
        compared = compare_heads(original, faster, self._compared.strata[chosen])
        if compared.is_sufficient:
            return compared.disagreements, compared.images
        kind = "training" if self._compared is self._train else "validation"
        self._refuse(
            variant,
            f"heads trained on its features predict another label for {compared.disagreements} of "
            f"{compared.images} {kind} images",
        )
        return None

    def _refuse(self, variant: Variant, reason: str) -> None:
        logger.info(f"Not running {self._graph.network.name} with {variant}: {reason}")

    def _few_indices(self) -> list[int]:
        """Return the indices of a few of the compared images, evenly spaced."""
        chosen = choose_images(self._compared.strata)
        indices = range(len(self._compared)) if chosen is None else chosen.tolist()
        return [indices[position] for position in evenly_spaced(len(indices), at_most=_CHECKED)]

    def _images(self, count: int) -> np.ndarray:
        """Return evenly spaced training images, float32 (count, height, width, channels)."""
        if not count:
            return np.empty((0, *self._graph.input_shape), np.float32)
        return _read(self._train, evenly_spaced(len(self._train), at_most=count))

    def _features(self, variant: Variant, indices: Sequence[int]) -> np.ndarray:
        """Return the features of compared images, float32 (n, units); each is computed once."""
        kept = self._computed.setdefault(variant, {})
        missing = [index for index in indices if index not in kept]
        if missing:
            images = _read(self._compared, missing)
            means = self._means(variant, images)
            digests = [view_digest(image) for image in images]
            for index, digest, *of_image in zip(missing, digests, *means, strict=True):
                kept[index] = _Computed(digest, of_image)
        rows = [np.concatenate(kept[index].means) for index in indices]
        return np.stack(rows).astype(np.float32)

    def _means(self, variant: Variant, images: np.ndarray) -> list[np.ndarray]:
        """Return the activations of images, averaged over rows and columns, (n, units) each."""
        parts, dtype = [], variant.storage_dtype
        for activations in self.compiled(variant).run(_batches(images)):
            means = [array.mean(axis=tuple(range(1, array.ndim - 1))) for array in activations]
            with np.errstate(over="ignore"):  # an overflow is infinite, which no guard lets pass
                parts.append([mean.astype(dtype) for mean in means])
        return [np.concatenate(of_output) for of_output in zip(*parts, strict=True)]


def _most_comparable(*splits: Split | None) -> Split:
    """Return the split of which most images can be used to compare heads, the first of several."""

    def count(split: Split) -> int:
        chosen = choose_images(split.strata)
        return 0 if chosen is None else len(chosen)

    return max((split for split in splits if split is not None), key=count)


def _read(split: Split, indices: Sequence[int]) -> np.ndarray:
    return split.images.read(np.array(indices)).astype(np.float32)


def _batches(images: np.ndarray) -> Iterable[np.ndarray]:
    return (images[start : start + _BATCH_SIZE] for start in range(0, len(images), _BATCH_SIZE))


def relative_error(actual: np.ndarray, expected: np.ndarray) -> float:
    """Return |actual - expected| / |expected|, infinity where `actual` is not finite."""
    if not np.isfinite(actual).all():
        return float("inf")
    norm = float(np.linalg.norm(expected))
    return float(np.linalg.norm(actual - expected)) / norm if norm else 0.0
