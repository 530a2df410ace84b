"""The table of tasks."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.tasks import classification
from pipeline.tasks.task import Task

TASKS: Mapping[str, Task] = {
    "classification": classification,
}
