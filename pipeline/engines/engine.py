"""The table of engines, and the processor they compute on."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    import numpy as np

    from pipeline.engines.frozen_graph import CompiledGraph, FrozenGraph

EngineName = Literal["keras", "tensorflow", "openvino"]
Precision = Literal["float32", "bfloat16", "int8"]

_BFLOAT16_FLAGS = frozenset({"avx512_bf16", "amx_bf16"})
# What the libraries choose their instructions by.
_INSTRUCTION_SETS = ("avx2", "avx512", "avx_vnni", "amx", "f16c", "fma", "asimd", "sve", "bf16")


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

    def __call__(self, precision: Precision, calibration: np.ndarray) -> CompiledGraph:
        """Compile it in a precision.

        Args:
            precision: one of the engine's.
            calibration: images that int8 is calibrated on, as `CompiledGraph.run` takes them.

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


def processor_has_bfloat16() -> bool:
    """Return whether the processor has bfloat16 instructions; without them bfloat16 is slow."""
    return not _BFLOAT16_FLAGS.isdisjoint(_processor().flags)


def processor_name() -> str:
    """Return the processor's name and the number of its cores that this process may use."""
    return f"{_processor().name}, {usable_threads()} threads"


def instruction_sets() -> str:
    """Return a digest of the instruction sets that libraries may use."""
    flags = sorted(flag for flag in _processor().flags if flag.startswith(_INSTRUCTION_SETS))
    limits = [os.environ.get(name, "") for name in ("ONEDNN_MAX_CPU_ISA", "TF_ENABLE_ONEDNN_OPTS")]
    return hashlib.sha256(" ".join([*flags, *limits]).encode()).hexdigest()[:16]


def usable_threads() -> int:
    """Return how many threads this process should compute with: its share of the cores."""
    share = os.environ.get("OMP_NUM_THREADS", "")
    if share.isdecimal() and int(share):
        return int(share)
    if hasattr(os, "sched_getaffinity"):  # on Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(frozen=True)
class _Processor:
    name: str
    flags: frozenset[str]


@functools.cache
def _processor() -> _Processor:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return _Processor("unknown", frozenset())
    values = {}
    for line in text.split("\n\n")[0].splitlines():
        key, _, value = line.partition(":")
        values[key.strip()] = value.strip()
    flags = values.get("flags", values.get("Features", ""))
    return _Processor(values.get("model name", "unknown"), frozenset(flags.split()))


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
