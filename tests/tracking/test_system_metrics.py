"""The load of the machine, logged while a run lasts."""

from __future__ import annotations

import threading
from collections.abc import Mapping

import pytest

from pipeline.tracking import system_metrics


def test_samples_are_logged_until_the_run_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system_metrics, "_SECONDS", 0.0)
    ended, steps = threading.Event(), []

    def log(values: Mapping[str, float], step: int) -> None:
        assert 0 <= values["system/cpu_utilization_percentage"] <= 100
        assert 0 < values["system/system_memory_usage_percentage"] <= 100
        steps.append(step)
        if step == 6:
            ended.set()

    system_metrics.log_until(ended, log, first_step=4)
    ended.wait()
    assert steps == [4, 5, 6]
