"""A search in one process on real digits, with a known answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline.recipe.loader import load_recipe
from pipeline.trials.journal import Journal
from pipeline.trials.search_state import Search
from pipeline.trials.sequential import run_sequentially
from pipeline.trials.trial_trainer import TrialTrainer

# 55 training images are so few that logistic regression overfits them, if it is not penalized. A
# penalty of 1, and labels of which more than half is spread, are too much.
RECIPE = """\
data: {source: digits, validation: 0.6, test: 0.37, batch_size: 16}
model: {architecture: mlp, hidden: []}
optimizer: {name: adam, learning_rate: 0.03}
training: {epochs: 15}
tuning:
  tuner: grid
  objective: val_log_loss
  prune: false
  trials: 20
  space:
    regularization.l2: {choice: [0.0, 1e-2, 1.0]}
    regularization.label_smoothing: {choice: [0.0, 0.6]}
"""


class Reporter:
    """Reports nothing."""

    def update(self) -> None:
        pass


@pytest.mark.slow
def test_a_search_over_penalties_finds_the_one_whose_predictions_are_best(
    in_empty_folder: Path,
) -> None:
    Path("recipe.yaml").write_text(RECIPE)
    search = Search(load_recipe(Path("recipe.yaml")), Journal(Path("search")))
    reporter: Any = Reporter()
    run_sequentially(search, TrialTrainer(), reporter)
    best, by_metrics = search.best, {}
    assert best
    for done in search.done:
        regularization = done.loaded.recipe.regularization
        values = (regularization.l2, regularization.label_smoothing)
        by_metrics[values] = done.outcome.metrics
    assert len(by_metrics) == 6
    assert best.values == {"regularization.l2": 1e-2, "regularization.label_smoothing": 0.0}
    winner = (1e-2, 0.0)
    assert min(by_metrics, key=lambda values: by_metrics[values]["val_log_loss"]) == winner
    assert max(by_metrics, key=lambda values: by_metrics[values]["val_accuracy"]) == winner
    # By the loss, which contains the penalty and the smoothed labels, none would be chosen.
    loss = {done.number: min(row["val_loss"] for row in done.outcome.rows) for done in search.done}
    assert min(loss, key=loss.__getitem__) == 1
