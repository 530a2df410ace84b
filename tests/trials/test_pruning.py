"""The median stopping rule."""

from __future__ import annotations

import pytest

from pipeline.trials.pruning import StoppingRule

OTHERS = tuple(
    tuple(peak * epoch / 4 for epoch in range(1, 5)) for peak in (0.5, 0.6, 0.7, 0.8, 0.9)
)


def rows(*values: float) -> list[dict[str, float]]:
    return [{"val_accuracy": value, "val_log_loss": 1 - value} for value in values]


@pytest.mark.parametrize("metric", ["val_accuracy", "val_log_loss"])
def test_a_trial_behind_the_median_at_its_epoch_ends(metric: str) -> None:
    losses = tuple(tuple(1 - value for value in other) for other in OTHERS)
    if metric == "val_accuracy":
        rule = StoppingRule(OTHERS, metric, "max")
    else:
        rule = StoppingRule(losses, metric, "min")
    assert rule(rows(0.1, 0.2, 0.5))  # the others' median is 0.525 by then
    assert not rule(rows(0.1, 0.2, 0.53))
    assert not rule(rows(0.1, 0.6, 0.2))  # its best epoch counts


def test_few_epochs_and_few_trials_say_nothing() -> None:
    assert not StoppingRule(OTHERS, "val_accuracy", "max")(rows(0.0, 0.0))
    assert not StoppingRule(OTHERS[:4], "val_accuracy", "max")(rows(0.0, 0.0, 0.0))


def test_trials_that_did_not_come_as_far_are_not_compared_with() -> None:
    short = [other[:2] for other in OTHERS]
    assert not StoppingRule(tuple(short), "val_accuracy", "max")(rows(0.0, 0.0, 0.0))


def test_a_rule_without_other_trials_ends_nothing() -> None:
    assert not StoppingRule((), "val_accuracy", "max")(rows(0.0, 0.0, 0.0))
