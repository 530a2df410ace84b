"""The processor: its name, its instruction sets, and the threads that this process may use."""

from __future__ import annotations

import functools
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

_BFLOAT16_FLAGS = frozenset({"avx512_bf16", "amx_bf16"})
# What the libraries choose their instructions by.
_INSTRUCTION_SETS = ("avx2", "avx512", "avx_vnni", "amx", "f16c", "fma", "asimd", "sve", "bf16")


def has_bfloat16() -> bool:
    """Return whether the processor has bfloat16 instructions; without them bfloat16 is slow."""
    return not _BFLOAT16_FLAGS.isdisjoint(_processor().flags)


def needs_onednn_enabled() -> bool:
    """Return whether TensorFlow leaves oneDNN off on this processor although it is faster.

    By default it is on where there are instructions for neural networks, such as AVX512-VNNI. With
    AVX2 alone, a ResNet50 runs 1.3 times as fast with it. A rule decides and no measurement:
    TensorFlow reads the setting when it is imported, so a race would take another process.
    """
    flags = _processor().flags
    return "avx2" in flags and "avx512_vnni" not in flags


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
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(frozen=True)
class _Processor:
    name: str
    flags: frozenset[str]


@functools.cache
def _processor() -> _Processor:
    """Return what Linux says of the processor; elsewhere nothing is known of it."""
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
