"""Trials one after another in this process."""

from __future__ import annotations

import gc

from pipeline.trials.search_state import Search
from pipeline.trials.trial import run_trial
from pipeline.trials.trial_reporter import TrialReporter
from pipeline.trials.trial_trainer import TrialTrainer

_COLLECT_AFTER = 10  # trials


def run_sequentially(search: Search, trainer: TrialTrainer, reporter: TrialReporter) -> None:
    """Run the trials of a search until it ends.

    Raises:
        KeyboardInterrupt: if it is interrupted; the running trial is run again when it resumes.
    """
    while (task := search.next()) is not None:
        assert task != "wait"  # no other trial is running
        try:
            rule = search.stopping_rule()
            outcome = run_trial(task.loaded.recipe, trainer, search.tuning, rule)
        except KeyboardInterrupt:
            reporter.interrupted(task)
            raise
        search.finish(task, outcome)
        reporter.update()
        if task.number % _COLLECT_AFTER == 0:
            gc.collect()  # models and their graphs refer to each other
    reporter.update()
