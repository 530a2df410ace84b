"""The table of tasks."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.tasks import classification, multi_label, reconstruction, regression
from pipeline.tasks.task import Task

TASKS: Mapping[str, Task] = {
    "classification": classification,
    "multi_label": multi_label,
    "reconstruction": reconstruction,
    "regression": regression,
}
