"""How busy the machine is during a run, under the names by which MLflow's UI shows it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Mapping

import psutil

PREFIX = "system/"
_SECONDS = 10.0  # between two samples, as in MLflow


def log_until(
    ended: threading.Event, log: Callable[[Mapping[str, float], int], None], *, first_step: int
) -> None:
    """Log samples from a thread, the first after ten seconds.

    MLflow's own monitor cannot be used: it writes to the store itself and ends when the store
    cannot be reached.

    Args:
        ended: set when the run ends.
        log: takes metrics and their step.
        first_step: the step of the first sample.
    """
    psutil.cpu_percent()  # each call returns the mean since the one before

    def sample() -> None:
        step = first_step
        while not ended.wait(_SECONDS):
            with contextlib.suppress(OSError, psutil.Error):  # what the system does not tell
                log(system_metrics(), step)
            step += 1

    threading.Thread(target=sample, daemon=True, name="system_metrics").start()


def system_metrics() -> dict[str, float]:
    """Return the load of the processors and the memory in use, by name."""
    memory = psutil.virtual_memory()
    return {
        f"{PREFIX}cpu_utilization_percentage": psutil.cpu_percent(),
        f"{PREFIX}system_memory_usage_megabytes": memory.used / 1e6,
        f"{PREFIX}system_memory_usage_percentage": memory.percent,
    }
