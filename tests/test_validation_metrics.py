"""The names of metrics that a recipe may monitor and optimize."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from pipeline.evaluation.metrics import classification_metrics
from pipeline.validation_metrics import ValidationMetric

NAMES = TypeAdapter(ValidationMetric)


def test_the_metrics_of_an_evaluation_can_be_named() -> None:
    generator = np.random.default_rng(0)
    metrics = classification_metrics(
        generator.integers(0, 3, 60),
        generator.dirichlet(np.ones(3), 60),
        top_k=2,
    )
    names = [name for name in metrics if not name.endswith(("_low", "_high"))]
    assert len(names) == 12
    for name in (*names, "recall/wild wasps", "precision/1", "f1/f1"):
        assert NAMES.validate_python(f"val_{name}") == f"val_{name}"


@pytest.mark.parametrize(
    "name", ["accuracy", "test_accuracy", "val_loss", "val_f1", "val_f1/", "val_top_k_accuracy", 3]
)
def test_other_names_are_errors(name: object) -> None:
    with pytest.raises(ValidationError):
        NAMES.validate_python(name)
