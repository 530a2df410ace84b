"""A trial: the same training and evaluation as a run of its recipe."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.recipe.loader import load_recipe, with_overrides
from pipeline.trials.trial import TrialOutcome, run_trial
from pipeline.trials.trial_trainer import TrialTrainer
from pipeline.tuning.tuning_config import TuningConfig
from pipeline.workflows.single_run import run

DIGITS = "data: {source: digits, batch_size: 256}\nmodel: {architecture: mlp, hidden: [16]}\n"
PHOTOGRAPHS = """\
data: {{source: image_folder, path: '{photographs}', image_size: [32, 32]}}
model: {{architecture: transfer, base: base.keras, hidden: [8]}}
regularization: {{dropout: 0.2}}
training: {{epochs: 3}}
"""


def trial(
    text: str,
    trainer: TrialTrainer,
    values: dict[str, Any],
    *,
    objective: str = "val_accuracy",
    executions: int = 1,
    should_stop: Callable[[Any], bool] = lambda rows: False,
) -> TrialOutcome:
    path = Path("recipe.yaml")
    path.write_text(text)
    tuning = TuningConfig(
        objective=objective, executions_per_trial=executions, space={"seed": {"choice": [1]}}
    )
    recipe = with_overrides(load_recipe(path, environment={}), values).recipe
    return run_trial(recipe, trainer, tuning, should_stop)


def assert_same_as_a_run(outcome: TrialOutcome, text: str, *overrides: str) -> None:
    Path("recipe.yaml").write_text(text)
    result = run(load_recipe(Path("recipe.yaml"), overrides))
    found = {name: value for name, value in result.metrics.items() if name in outcome.metrics}
    assert {"best_epoch", "val_accuracy", "val_log_loss", "val_ece"} <= set(found)
    assert found == {name: outcome.metrics[name] for name in found}


def test_a_trial_has_the_metrics_of_a_run(in_empty_folder: Path) -> None:
    values = {"optimizer.learning_rate": 0.01, "training.epochs": 2}
    outcome = trial(DIGITS, TrialTrainer(), values)
    assert outcome.state == "FINISHED"
    assert outcome.score == outcome.metrics["val_accuracy"] > 0.3
    assert len(outcome.rows) == len(outcome.times) == 2
    assert not any(name.startswith("test_") for name in outcome.metrics)
    assert_same_as_a_run(outcome, DIGITS, "optimizer.learning_rate=0.01", "training.epochs=2")


def test_a_trial_of_a_head_has_the_metrics_of_a_run_of_the_whole_model(
    few_photographs: Path, in_empty_folder: Path
) -> None:
    import keras

    convolution = keras.layers.Conv2D(16, 5, strides=4, activation="relu")
    keras.Sequential([keras.Input((32, 32, 3)), convolution]).save("base.keras")
    text, trainer = PHOTOGRAPHS.format(photographs=few_photographs), TrialTrainer()
    trial(text, trainer, {})
    outcome = trial(text, trainer, {"optimizer.learning_rate": 0.1, "model.hidden": [4]})
    assert_same_as_a_run(outcome, text, "optimizer.learning_rate=0.1", "model.hidden=[4]")


def test_a_trial_that_diverges_fails_with_the_reason(in_empty_folder: Path) -> None:
    outcome = trial(DIGITS, TrialTrainer(), {"optimizer": {"name": "sgd", "learning_rate": 1e30}})
    assert (outcome.state, outcome.score, outcome.kind) == ("FAILED", None, "diverged")
    assert outcome.reason.startswith("The loss became ")


def test_a_trial_that_diverges_after_good_epochs_has_the_score_of_the_best_one(
    in_empty_folder: Path,
) -> None:
    schedule = {"piecewise": {"boundaries": [2], "factors": [1e30]}}
    values = {"optimizer": {"name": "sgd", "learning_rate": 0.05, "schedule": schedule}}
    outcome = trial(DIGITS, TrialTrainer(), values)
    assert (outcome.state, outcome.metrics["diverged_epoch"]) == ("FINISHED", 3.0)
    best = outcome.rows[int(outcome.metrics["best_epoch"]) - 1]
    assert outcome.score == pytest.approx(best["val_accuracy"])


def test_a_trial_that_should_stop_is_pruned(in_empty_folder: Path) -> None:
    values = {"training.epochs": 5}
    outcome = trial(DIGITS, TrialTrainer(), values, should_stop=lambda rows: len(rows) == 2)
    assert outcome.pruned_at == len(outcome.rows) == 2
    # As in a run of so many epochs, the log loss chooses one of them.
    chosen = min(outcome.rows, key=lambda row: row["val_log_loss"])
    assert outcome.score == chosen["val_accuracy"]


def test_every_objective_is_known_by_epoch(in_empty_folder: Path) -> None:
    values = {"training.epochs": 5}
    stopped = trial(
        DIGITS,
        TrialTrainer(),
        values,
        objective="val_f1_macro",
        should_stop=lambda rows: len(rows) == 3,
    )
    chosen = min(stopped.rows, key=lambda row: row["val_log_loss"])
    assert stopped.score == chosen["val_f1_macro"]
    complete = trial(DIGITS, TrialTrainer(), {"training.epochs": 3}, objective="val_f1_macro")
    assert complete.score == complete.metrics["val_f1_macro"] == pytest.approx(stopped.score)


@pytest.mark.slow
def test_executions_have_consecutive_seeds(in_empty_folder: Path) -> None:
    trainer, values = TrialTrainer(), {"training.epochs": 1}
    both = trial(DIGITS, trainer, values, executions=2)
    one, two = (trial(DIGITS, trainer, {**values, "seed": seed}) for seed in (42, 43))
    assert both.scores == (one.score, two.score)
    assert both.score == pytest.approx(sum(both.scores) / 2)
    assert both.spread is not None
    assert both.spread > 0
    assert one.spread is None
    assert both.metrics == one.metrics


def test_an_unknown_objective_is_a_failure(in_empty_folder: Path) -> None:
    outcome = trial(DIGITS, TrialTrainer(), {"training.epochs": 1}, objective="val_top_3_accuracy")
    assert outcome.reason.startswith(
        "tuning.objective: a run of this recipe has no metric 'val_top_3_accuracy'. Available: "
        "val_accuracy, "
    )


def test_running_out_of_memory_is_a_kind_of_failure(
    in_empty_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise MemoryError("cannot allocate 3 GiB")

    monkeypatch.setattr(TrialTrainer, "evaluate", full)
    outcome = trial(DIGITS, TrialTrainer(), {})
    assert (outcome.kind, outcome.reason) == ("memory", "Out of memory: cannot allocate 3 GiB")
