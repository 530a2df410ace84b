"""The table of engines."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Literal, Protocol

from pipeline.processor import instruction_sets

if TYPE_CHECKING:
    import numpy as np

    from pipeline.engines.frozen_graph import CompiledGraph, FrozenGraph

EngineName = Literal["keras", "tensorflow", "openvino"]
Precision = Literal["float32", "bfloat16", "int8"]


@dataclass(frozen=True)
class Variant:
    """An engine, and the precision it computes in."""

    engine: EngineName
    precision: Precision

    @property
    def storage_dtype(self) -> str:
        """The type its activations are kept in.

        float16 takes half the space of float32 and has more significant bits than bfloat16.
        """
        return "float32" if self.precision == "float32" else "float16"

    def __str__(self) -> str:
        return f"{_TITLES[self.engine]} in {self.precision}"


KERAS = Variant("keras", "float32")  # the original network: what the others are compared with


class Compile(Protocol):
    """Compiles one frozen graph."""

    def __call__(
        self, precision: Precision, calibration: np.ndarray, *, pool: bool
    ) -> CompiledGraph:
        """Compile it in a precision.

        Args:
            precision: one of the engine's.
            calibration: images that int8 is calibrated on, as `CompiledGraph.run` takes them.
            pool: whether to average the outputs of its network over rows and columns.

        Raises:
            Exception: any exception of a graph that the engine cannot compile.
        """


@dataclass(frozen=True)
class Engine:
    """A row of the table of engines.

    Attributes:
        module: has `compiler`, a function of a `FrozenGraph` to a `Compile`. It is imported only
            when the engine is used.
        precisions: that it computes in.
        packages: that it requires besides TensorFlow, by module name.
        versions: the packages whose versions decide what it computes, to the bit.
    """

    module: str
    precisions: tuple[Precision, ...]
    packages: Mapping[str, str]
    versions: tuple[str, ...]

    def is_installed(self) -> bool:
        return not self.missing_packages()

    def missing_packages(self) -> list[str]:
        """Return the packages that the engine requires and that are not installed."""
        needed = self.packages.items()
        return [package for module, package in needed if not importlib.util.find_spec(module)]

    def compiler(self, graph: FrozenGraph) -> Compile:
        """Return a function that compiles a graph in one precision after another."""
        compiler: Callable[[FrozenGraph], Compile] = import_module(self.module).compiler
        return compiler(graph)

    def facts(self, precision: Precision) -> dict[str, Any]:
        """Return what the bits of its results depend on, serializable as JSON."""
        packages = (*self.versions, "nncf") if precision == "int8" else self.versions
        return {
            "precision": precision,
            "versions": {name: _version(name) for name in packages},
            "instructions": instruction_sets(),
        }


ENGINES: Mapping[EngineName, Engine] = {
    "keras": Engine("pipeline.engines.keras_engine", ("float32",), {}, ("tensorflow", "keras")),
    "tensorflow": Engine(
        "pipeline.engines.tensorflow_engine", ("float32", "bfloat16"), {}, ("tensorflow", "keras")
    ),
    "openvino": Engine(
        "pipeline.engines.openvino_engine",
        ("float32", "bfloat16", "int8"),
        {"openvino": "openvino"},
        ("openvino", "tensorflow", "keras"),
    ),
}
_TITLES: Mapping[EngineName, str] = {
    "keras": "Keras",
    "tensorflow": "TensorFlow",
    "openvino": "OpenVINO",
}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
