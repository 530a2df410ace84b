"""Run two jobs in turn, A B A B …, each in a process of its own, and print their ratio.

Machines are shared and noisy; the ratio within a pair holds where single times do not.
"""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path


def machine() -> str:
    """Return what the figures were measured on."""
    model, flags = platform.processor() or platform.machine(), ""
    try:
        lines = [line.partition(":") for line in Path("/proc/cpuinfo").read_text().splitlines()]
        info = {key.strip(): value.strip() for key, _, value in lines}
        model = info.get("model name", model)
        wanted = ("avx512f", "avx512_bf16", "amx_bf16")
        flags = ", ".join(flag for flag in wanted if flag in info.get("flags", "").split())
    except OSError:
        pass
    return f"{model}, {os.cpu_count()} processors, {flags or 'no AVX-512'}, {platform.system()}"


def last_line(command: Sequence[str]) -> str:
    """Run a command and return the last line of its standard output.

    Raises:
        SystemExit: if it fails, with what it said.
    """
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr[-3000:]}")
    return done.stdout.strip().splitlines()[-1]


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Return the median of values with their least and greatest."""
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"
