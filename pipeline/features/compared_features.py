"""Features of some images by several engines, which are raced and compared on them."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.array_cache import CachedArrays
from pipeline.data.splits import Split
from pipeline.engines.engine import Variant
from pipeline.engines.frozen_graph import CompiledGraph, FrozenGraph
from pipeline.even_spacing import evenly_spaced
from pipeline.features.head_agreement import choose_images
from pipeline.features.known_views import view_digest

_CHECKED = 8  # images on which float32 is compared with Keras
_MAX_RACED = 24  # images where there are too few to compare heads
_BATCH_SIZE = 32


@dataclass(frozen=True)
class _Computed:
    """What a variant computed of an image.

    Attributes:
        digest: of the image, as `view_digest` returns it.
        means: the activations, averaged over rows and columns, an array (units,) for each output.
    """

    digest: bytes
    means: list[np.ndarray]


class ComparedFeatures:
    """Computes the features of some training images, each at most once by a variant.

    Attributes:
        speeds: images per second of each variant in its last call.
    """

    def __init__(
        self, split: Split, graph: FrozenGraph, compiled: Callable[[Variant], CompiledGraph]
    ) -> None:
        """Remember what to compute.

        Args:
            split: the training images.
            graph: what is computed.
            compiled: returns the graph as a variant computes it.
        """
        self._split = split
        self.speeds: dict[Variant, float] = {}
        self._graph, self._compiled = graph, compiled
        self._computed: dict[Variant, dict[int, _Computed]] = {}

    @functools.cached_property
    def comparable_indices(self) -> np.ndarray | None:
        """The indices of the images that heads are compared on, int (n,); None if too few are."""
        return choose_images(self._split.strata)

    @functools.cached_property
    def indices(self) -> list[int]:
        """The indices of all the images."""
        if self.comparable_indices is None:
            return evenly_spaced(len(self._split), at_most=_MAX_RACED)
        indices: list[int] = self.comparable_indices.tolist()
        return indices

    @functools.cached_property
    def checked_indices(self) -> list[int]:
        """The indices of a few of the images, on which float32 is compared with Keras."""
        positions = evenly_spaced(len(self.indices), at_most=_CHECKED)
        return [self.indices[position] for position in positions]

    def features(self, variant: Variant, indices: Sequence[int]) -> np.ndarray:
        """Return the features of images, float32 (n, units), averaged over rows and columns."""
        computed = self._computed.setdefault(variant, {})
        missing = [index for index in indices if index not in computed]
        if missing:
            images = read_pixels(self._split, missing)
            started = time.perf_counter()
            means = self._means(variant, images)
            self.speeds[variant] = len(missing) / (time.perf_counter() - started)
            digests = [view_digest(image) for image in images]
            for index, digest, *of_image in zip(missing, digests, *means, strict=True):
                computed[index] = _Computed(digest, of_image)
        rows = [np.concatenate(computed[index].means) for index in indices]
        return np.stack(rows).astype(np.float32)

    def known(self, variant: Variant) -> list[CachedArrays]:
        """Return the features that a variant computed, for `KnownViews`.

        There are none if the activations are larger than their averages, which were kept, nor of
        engines whose bits may depend on how images are put into batches.
        """
        if variant.engine != "openvino":
            return []
        computed = list(self._computed.get(variant, {}).values())
        if not computed or any(len(shape) > 1 for shape in self._graph.output_shapes):
            return []
        digests = np.frombuffer(b"".join(one.digest for one in computed), np.uint8)
        arrays = {"digests": digests.reshape(len(computed), -1)}
        for i, of_output in enumerate(zip(*(one.means for one in computed), strict=True)):
            arrays[f"activations_{i}"] = np.stack(of_output)
        return [CachedArrays(arrays, {}, was_cached=False)]

    def _means(self, variant: Variant, images: np.ndarray) -> list[np.ndarray]:
        """Return the activations of images, averaged over rows and columns, (n, units) each."""
        parts, dtype = [], variant.storage_dtype
        for activations in self._compiled(variant).run(_batches(images)):
            means = [array.mean(axis=tuple(range(1, array.ndim - 1))) for array in activations]
            with np.errstate(over="ignore"):  # an overflow is infinite, which no guard lets pass
                parts.append([mean.astype(dtype) for mean in means])
        return [np.concatenate(of_output) for of_output in zip(*parts, strict=True)]


def read_pixels(split: Split, indices: Sequence[int]) -> np.ndarray:
    """Return images of a split, float32 (n, height, width, channels)."""
    return split.images.read(np.array(indices)).astype(np.float32)


def _batches(images: np.ndarray) -> Iterable[np.ndarray]:
    return (images[start : start + _BATCH_SIZE] for start in range(0, len(images), _BATCH_SIZE))
