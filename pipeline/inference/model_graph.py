"""A model's float32 graph, which OpenVINO computes without importing TensorFlow.

It lies beside the Keras model and gives the same outputs: a run writes it only after the outputs
for real images were compared.
"""

from __future__ import annotations

import importlib.util
import json
import logging
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.file_digests import file_digest

logger = logging.getLogger(__name__)

GRAPH_FILE = "graph.xml"
WEIGHTS_FILE = "graph.bin"
FACTS_FILE = "graph.json"
MAX_DIFFERENCE = 1e-4  # of two outputs, by rounding


@dataclass(frozen=True)
class GraphFacts:
    """What is known of a graph.

    Attributes:
        digests: hexadecimal SHA-256 of its files and of the Keras model that it was made of.
        feature_layer: the layer of the Keras model whose output is the second one; None without.
        images: how many the outputs were compared on.
        max_difference: of the outputs for them, from those of the Keras model.
    """

    digests: dict[str, str]
    feature_layer: str | None
    images: int
    max_difference: float

    def save(self, directory: Path) -> None:
        """Write the facts beside the graph."""
        (directory / FACTS_FILE).write_text(json.dumps(asdict(self), indent=1), "utf-8")


class ModelGraph:
    """A graph that can be computed.

    Attributes:
        facts: what is known of it.
    """

    def __init__(self, facts: GraphFacts, compiled: Any) -> None:
        """Keep a compiled graph.

        Args:
            facts: what is known of it.
            compiled: an `OpenVinoGraph`.
        """
        self.facts = facts
        self._compiled = compiled

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Height, width and channels of an image, or how many other numbers an example has."""
        return tuple(self._compiled.input_shape)

    @property
    def output_units(self) -> list[int]:
        """The number of units of each output."""
        return [shape[-1] for shape in self._compiled.output_shapes]

    def run(self, batches: Iterable[np.ndarray]) -> Iterator[list[np.ndarray]]:
        """Yield the outputs of each batch, in order, float32 (n, units) each.

        The next batch is taken while one is computed. Several threads may run a graph at once.

        Args:
            batches: pixels (n, height, width, channels) in 0..255, or numbers (n, numbers); n may
                vary.
        """
        outputs: Iterator[list[np.ndarray]] = self._compiled.run(batches)
        return outputs


def load_graph(directory: Path, model_file: str, feature_layer: str | None) -> ModelGraph | None:
    """Load the graph of a model; None where there is none that can be used.

    Args:
        directory: of the model.
        model_file: the name of the Keras model in the directory.
        feature_layer: the layer of which a second output is needed; None for none.
    """
    if not (directory / FACTS_FILE).is_file() or not importlib.util.find_spec("openvino"):
        return None
    try:
        facts = _read_facts(directory)
        if feature_layer not in (None, facts.feature_layer):
            raise ValueError(f"its second output is that of the layer {facts.feature_layer}")
        for name in (GRAPH_FILE, WEIGHTS_FILE, model_file):
            if facts.digests.get(name) != file_digest(directory / name):
                raise ValueError(f"{name} is not the file that it was written with")
        return _compile(directory, facts)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or error
        logger.warning(f"Using Keras, because {directory / GRAPH_FILE} cannot be used: {reason}")
        return None


def read_written_graph(directory: Path) -> ModelGraph:
    """Read a graph that this program wrote a moment ago, whose files are not checked.

    Raises:
        Exception: any exception of a file that is no graph.
    """
    return _compile(directory, _read_facts(directory))


def _compile(directory: Path, facts: GraphFacts) -> ModelGraph:
    # By a relative name, because a logged model has a copy of both modules in another package.
    runtime = import_module("..engines.openvino_runtime", __package__)
    return ModelGraph(facts, runtime.read_graph(directory / GRAPH_FILE, "float32"))


def _read_facts(directory: Path) -> GraphFacts:
    content = json.loads((directory / FACTS_FILE).read_text("utf-8"))
    return GraphFacts(
        digests={str(name): str(digest) for name, digest in dict(content["digests"]).items()},
        feature_layer=content["feature_layer"],
        images=int(content["images"]),
        max_difference=float(content["max_difference"]),
    )
