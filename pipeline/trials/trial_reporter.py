"""Reports finished trials to the tracking store and on the console."""

from __future__ import annotations

from collections.abc import Set

from pipeline.tracking.run_logger import RunLogger
from pipeline.trials.search_display import SearchDisplay
from pipeline.trials.search_logging import trial_run
from pipeline.trials.search_state import PendingTrial, Search
from pipeline.trials.trial import TrialOutcome

PROGRESS = "search/best_so_far"


class TrialReporter:
    """Reports every trial once, in this session or in an earlier one that was interrupted."""

    def __init__(
        self,
        search: Search,
        run_logger: RunLogger,
        display: SearchDisplay,
        *,
        logged: Set[int],
    ) -> None:
        """Start reporting.

        Args:
            search: the search.
            run_logger: logs to the run of the search.
            display: shows the trials.
            logged: the numbers of the trials that the tracking store has already.
        """
        self._search = search
        self._run_logger = run_logger
        self._display = display
        self._logged = logged
        self._earlier = {done.number for done in search.done}
        self._reported: set[int] = set()

    def update(self) -> None:
        """Report the trials that have ended since the last call."""
        for done in self._search.done:
            if done.number in self._reported:
                continue
            self._reported.add(done.number)
            best = self._search.best_until(done.number)
            if done.number not in self._logged:
                self._log(done, done.outcome, best)
            if best is not None:
                self._run_logger.log_metrics({PROGRESS: best}, step=done.number)
            if done.number not in self._earlier:
                self._display.show(done)

    def interrupted(self, task: PendingTrial) -> None:
        """Report a trial that was interrupted; it is repeated in the same MLflow run."""
        self._log(task, TrialOutcome("KILLED"), None)

    def _log(self, trial: PendingTrial, outcome: TrialOutcome, best_so_far: float | None) -> None:
        objective = self._search.tuning.objective
        self._run_logger.log_trial(trial_run(trial, outcome, objective, best_so_far))
