from __future__ import annotations

import pytest

from pipeline.suggestions import did_you_mean

NAMES = ["epochs", "regularization.dropout", "optimizer.learning_rate", "ResNet50"]


@pytest.mark.parametrize(
    ("received", "hint"),
    [
        ("epoch", " Did you mean 'epochs'?"),
        ("dropuot", " Did you mean 'regularization.dropout'?"),
        ("learningrate", " Did you mean 'optimizer.learning_rate'?"),
        ("RESNET50", " Did you mean 'ResNet50'?"),
        ("regularization", ""),
        ("zzz", ""),
        ("", ""),
    ],
)
def test_the_nearest_name_is_suggested(received: str, hint: str) -> None:
    assert did_you_mean(received, NAMES) == hint


def test_the_first_of_names_with_the_same_ending_is_suggested() -> None:
    assert did_you_mean("epoch", ["training.epochs", "fine_tune.epochs"]) == (
        " Did you mean 'training.epochs'?"
    )


def test_nothing_is_suggested_without_names() -> None:
    assert did_you_mean("epochs", []) == ""
