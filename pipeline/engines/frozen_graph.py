"""The frozen part of a model, as engines compile it: pixels in, activations out."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import keras
import numpy as np
import tensorflow as tf

from pipeline.array_cache import cache_key
from pipeline.engines.network_digest import network_digest
from pipeline.engines.tracing import trace


@dataclass(frozen=True)
class FrozenGraph:
    """A frozen network between raw pixels and the activations that a head takes.

    Attributes:
        prepare: raw pixels → what the network takes.
        network: a functional model with one or several outputs; nothing in it is trained.
        pool: whether the activations are the network's outputs averaged over rows and columns.
    """

    prepare: keras.Model
    network: keras.Model
    pool: bool

    @functools.cached_property
    def digest(self) -> str:
        """A digest of what the graph computes, before pooling."""
        preparation = [type(operation).__name__ for operation in self.prepare.operations]
        return cache_key(
            {
                "network": network_digest(self.network),
                "input": self.input_shape,
                "preparation": preparation,
            }
        )

    @functools.cached_property
    def function(self) -> Any:
        """A function of images, as `trace` returns it, to outputs that are not pooled.

        Tracing takes up to a second.
        """
        return trace((self.prepare, self.network))

    def __reduce__(self) -> tuple[type[FrozenGraph], tuple[keras.Model, keras.Model, bool]]:
        return FrozenGraph, (self.prepare, self.network, self.pool)

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of an image."""
        height, width, channels = self.prepare.input_shape[1:]
        return height, width, channels

    @property
    def output_shapes(self) -> list[tuple[int, ...]]:
        """The shape of each activation of one image."""
        shapes = [tuple(tensor.shape[1:]) for tensor in self.network.outputs]
        return [shape[-1:] for shape in shapes] if self.pool else shapes


class CompiledGraph(Protocol):
    """A frozen graph that an engine has compiled; pickle can send it to another process."""

    def run(self, batches: Iterable[np.ndarray]) -> Iterator[list[np.ndarray]]:
        """Yield the activations of each batch, in order, float32 (n, …) each.

        Args:
            batches: images (n, height, width, channels) in 0..255, of any type; n may vary.
        """


class TracedGraph:
    """A graph that TensorFlow computes. In another process it is traced again."""

    def __init__(self, graph: FrozenGraph, network: keras.Model, *, pool: bool) -> None:
        """Trace a graph.

        Args:
            graph: what to compute.
            network: in place of the graph's own, such as a faster copy.
            pool: whether to average the outputs over rows and columns.
        """
        self._parts = graph, network, pool
        is_own = network is graph.network
        self._function = graph.function if is_own else trace((graph.prepare, network))

    def run(self, batches: Iterable[np.ndarray]) -> Iterator[list[np.ndarray]]:
        *_, pool = self._parts
        for images in batches:
            tensors = self._function(tf.constant(images, tf.float32))
            yield [(tf.reduce_mean(x, axis=(1, 2)) if pool else x).numpy() for x in tensors]

    def __reduce__(self) -> tuple[Callable[..., TracedGraph], tuple[Any, ...]]:
        return _trace_again, self._parts


def _trace_again(graph: FrozenGraph, network: keras.Model, pool: bool) -> TracedGraph:
    return TracedGraph(graph, network, pool=pool)
