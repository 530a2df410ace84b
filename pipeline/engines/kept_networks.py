"""Keep frozen networks as OpenVINO models, in the cache: to convert one takes a second or two."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline import array_cache
from pipeline.engines.engine import ENGINES
from pipeline.engines.frozen_graph import FrozenGraph
from pipeline.engines.openvino_conversion import convert
from pipeline.engines.openvino_package import openvino

_FORMAT = 1  # of a kept network; with another number, all are converted again
_FILE = "network.xml"  # with the weights in network.bin
_LIMIT = 2 * 2**30  # bytes of all kept networks
_LABEL = "a converted network"


def convert_once(graph: FrozenGraph) -> openvino.Model:
    """Return a graph as a model in float32 whose outputs are not pooled, and keep it.

    Raises:
        Exception: any exception of an operation that OpenVINO cannot convert.
    """
    key, label = _key(graph.digest), f"{graph.network.name}, converted"

    def write(directory: Path) -> dict[str, Any]:
        openvino.save_model(convert(graph.function), directory / _FILE, compress_to_fp16=False)
        return {}

    with array_cache.locked(key):
        if array_cache.read_entry(key, label=label) is None:
            array_cache.write_entry(key, write, kind="networks", label=label, limit=_LIMIT)
        return _read(key)


def find_network(digest: str) -> openvino.Model | None:
    """Return the model of the graph with a digest; None if it is not kept, or corrupt."""
    key = _key(digest)
    with array_cache.locked(key):
        return _read(key) if array_cache.read_entry(key, label=_LABEL) else None


def _key(digest: str) -> str:
    versions = ENGINES["openvino"].facts("float32")["versions"]
    return array_cache.cache_key({"format": _FORMAT, "graph": digest, "versions": versions})


def _read(key: str) -> openvino.Model:
    return openvino.Core().read_model(array_cache.entry_directory(key) / _FILE)
