"""Tells everybody of trials that have ended: the store, and the person who waits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.trials.search_display import SearchDisplay
from pipeline.trials.search_logging import trial_run
from pipeline.trials.search_state import FinishedTrial, Search
from pipeline.trials.trial import TrialOutcome

if TYPE_CHECKING:
    from pipeline.tracking.run_logger import RunLogger
    from pipeline.tracking.trial_runs import TrialRunWriter
    from pipeline.trials.search_state import PendingTrial

PROGRESS = "search/best_so_far"


class TrialReporter:
    """Reports every trial once, in this session or in an earlier one that was killed."""

    def __init__(
        self,
        search: Search,
        children: TrialRunWriter,
        run_logger: RunLogger,
        display: SearchDisplay,
    ) -> None:
        self._search = search
        self._children = children
        self._recorder = run_logger
        self._display = display
        self._earlier = {done.number for done in search.done}
        self._reported: set[int] = set()

    def update(self) -> None:
        """Report the trials that have ended since the last time."""
        for done in self._search.done:
            if done.number in self._reported:
                continue
            self._reported.add(done.number)
            best = self._search.best_until(done.number)
            if done.number not in self._children.written:
                self._children.put(
                    trial_run(
                        done,
                        self._search.recipe_of(done.number),
                        objective=self._search.tuning.objective,
                        best_so_far=best,
                    )
                )
            if best is not None:
                self._recorder.metrics({PROGRESS: best}, step=done.number)
            if done.number not in self._earlier:
                self._display.show(done)

    def interrupted(self, task: PendingTrial) -> None:
        """Report a trial that was interrupted; when it is run again it takes the same run."""
        self._children.put(
            trial_run(
                FinishedTrial(task.number, task.values, TrialOutcome("KILLED")),
                task.loaded,
                objective=self._search.tuning.objective,
                best_so_far=None,
            )
        )
