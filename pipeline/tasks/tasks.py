"""The table of tasks."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.tasks import classification, multi_label, regression
from pipeline.tasks.task import Task

TASKS: Mapping[str, Task] = {
    "classification": classification,
    "multi_label": multi_label,
    "regression": regression,
}
