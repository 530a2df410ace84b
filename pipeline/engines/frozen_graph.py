"""The frozen part of a model, as engines compile it: pixels in, activations out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import keras
import numpy as np
import tensorflow as tf


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


def trace(graph: FrozenGraph, network: keras.Model) -> Callable[[Any], list[Any]]:
    """Return a TensorFlow function of images (n, height, width, channels) to activations, float32.

    It is traced once, for batches of any size.

    Args:
        graph: what to compute.
        network: in place of the graph's own, such as a faster copy.
    """

    @tf.function(input_signature=[tf.TensorSpec((None, *graph.input_shape))])
    def activations(images: Any) -> list[Any]:
        prepared = tf.cast(graph.prepare(images, training=False), tf.float32)
        outputs = network(prepared, training=False)
        tensors = outputs if isinstance(outputs, list | tuple) else [outputs]
        tensors = [tf.cast(tensor, tf.float32) for tensor in tensors]
        return [tf.reduce_mean(x, axis=(1, 2)) for x in tensors] if graph.pool else tensors

    return activations


class TracedGraph:
    """A graph that TensorFlow computes. In another process it is traced again.

    Attributes:
        activations: what `trace` returned.
    """

    def __init__(self, graph: FrozenGraph, network: keras.Model) -> None:
        """Trace a graph, with the arguments of `trace`."""
        self._parts = graph, network
        self.activations = trace(graph, network)

    def run(self, batches: Iterable[np.ndarray]) -> Iterator[list[np.ndarray]]:
        for images in batches:
            yield [tensor.numpy() for tensor in self.activations(tf.constant(images, tf.float32))]

    def __reduce__(self) -> tuple[type[TracedGraph], tuple[FrozenGraph, keras.Model]]:
        return TracedGraph, self._parts
