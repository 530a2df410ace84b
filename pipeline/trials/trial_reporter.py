"""Reports finished trials to the tracking store and on the console."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, field

from pipeline.tracking.run_logger import RunLogger
from pipeline.trials.search_display import SearchDisplay
from pipeline.trials.search_logging import trial_run
from pipeline.trials.search_state import PendingTrial, Search
from pipeline.trials.trial import TrialOutcome


@dataclass
class TrialReporter:
    """Reports every trial once, in this session or in an earlier one that was interrupted.

    Attributes:
        search: the search.
        run_logger: logs to the run of the search.
        display: shows the trials.
        logged: the numbers of the trials that the tracking store has already.
    """

    search: Search
    run_logger: RunLogger
    display: SearchDisplay
    logged: Set[int]
    _reported: set[int] = field(default_factory=set, init=False)

    def update(self) -> None:
        """Report the trials that have ended since the last call."""
        for done in self.search.done:
            if done.number in self._reported:
                continue
            self._reported.add(done.number)
            if done.number not in self.logged:
                self.run_logger.log_trial(trial_run(self.search, done, done.outcome))
            best = self.search.best_until(done.number)
            if best is not None:
                self.run_logger.log_metrics({"search/best_so_far": best}, step=done.number)
            if done.number not in self.display.earlier:
                self.display.show(done)

    def interrupted(self, task: PendingTrial) -> None:
        """Report a trial that was interrupted; it is repeated in the same MLflow run."""
        self.run_logger.log_trial(trial_run(self.search, task, TrialOutcome("KILLED")))
