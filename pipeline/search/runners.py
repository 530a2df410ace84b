"""Trials one after another, in this process."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import TYPE_CHECKING

from pipeline.search.bench import Bench
from pipeline.search.search import Search
from pipeline.search.trial import run_trial

if TYPE_CHECKING:
    from pipeline.search.report import Reporter

_COLLECTED_AFTER = 10  # trials


def run_here(
    search: Search, bench: Bench, reporter: Reporter, *, say: Callable[[str], None]
) -> None:
    """Run the trials of a search until it ends.

    Raises:
        KeyboardInterrupt: if it is interrupted; the trial in progress counts as never run.
    """
    while (task := search.next()) is not None:
        assert task != "wait"  # nobody else is running anything
        try:
            outcome = run_trial(
                task.loaded.recipe,
                bench,
                objective=search.tuning.objective,
                executions=search.tuning.executions_per_trial,
                should_stop=search.stopping_rule(),
                say=say,
            )
        except KeyboardInterrupt:
            reporter.interrupted(task)
            raise
        search.finish(task, outcome)
        reporter.update()
        if task.number % _COLLECTED_AFTER == 0:
            gc.collect()  # models and their graphs hold on to each other
    reporter.update()
