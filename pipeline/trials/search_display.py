"""Shows the progress of a search: a progress bar in a terminal, and a line for each trial."""

from __future__ import annotations

import logging

from pipeline.progress_bar import format_duration, start_progress_bar
from pipeline.trials.search_state import FinishedTrial, Search

logger = logging.getLogger(__name__)


class SearchDisplay:
    """Shows the trials, the best one so far and the time left.

    Attributes:
        earlier: the numbers of the trials that ended in an earlier session.
    """

    def __init__(self, search: Search) -> None:
        self._search = search
        self.earlier = {done.number for done in search.done}
        self._seconds_before = search.seconds
        self._bar = start_progress_bar("Trial {task.completed}/{task.total}")
        if self._bar:
            total, completed = search.tuning.trials, len(self.earlier)
            self._bar.add_task("", total=total, completed=completed, note="")

    def show(self, done: FinishedTrial) -> None:
        """Show a finished trial."""
        total, objective = self._search.tuning.trials, self._search.tuning.objective
        outcome = done.outcome
        if outcome.score is None:
            result = f"FAILED: {outcome.reason}"
        else:
            spread = f" ±{outcome.spread:.4f}" if outcome.spread is not None else ""
            early = f", stopped early after epoch {outcome.pruned_at}" if outcome.pruned_at else ""
            diverged = outcome.metrics.get("diverged_epoch")
            kept = f", diverged in epoch {diverged:.0f} after its best one" if diverged else ""
            score = f"{objective} {outcome.score:.4f}{spread}"
            result = f"{score} in {outcome.seconds:.1f} s{early}{kept}"
        best = self._search.best
        shown = f"best {best.outcome.score:.4f} (trial {best.number})  " if best else ""
        note = f"{shown}{format_duration(self._seconds_left())} left"
        logger.info(f"Trial {done.number}/{total}  {result}  {note}")
        if self._bar:
            self._bar.update(self._bar.task_ids[0], completed=len(self._search.done), note=note)

    def close(self) -> None:
        """Remove the progress bar."""
        if self._bar:
            self._bar.stop()

    def _seconds_left(self) -> float:
        search = self._search
        done = len(search.done) - len(self.earlier)
        each = (search.seconds - self._seconds_before) / max(done, 1)
        left = each * (search.tuning.trials - len(search.done))
        budget = search.tuning.budget_seconds
        return max(left if budget is None else min(left, budget - search.seconds), 0.0)
