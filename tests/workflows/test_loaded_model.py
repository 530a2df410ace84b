"""A trained model in Python, as `pipeline.load` returns it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pipeline
from pipeline.tracking.store import open_store
from pipeline.workflows import view_averaging
from pipeline.workflows.run_result import RunResult


@pytest.fixture
def model(digits_run: RunResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pipeline.Model:
    """A model whose recipe augments images."""
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        "data: {source: digits, augmentation: [{random_translation: {}}]}\n"
        "model: {architecture: mlp}\n"
    )
    recipe_of = lambda store, model: contextlib.nullcontext(recipe)  # noqa: E731
    monkeypatch.setattr(view_averaging, "recipe_of", recipe_of)
    return pipeline.load(digits_run.run_id, tracking_uri=digits_run.tracking_uri)


def test_outputs_are_means_over_views_on_request(
    model: pipeline.Model, digit_files: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "digits"
    for file in sorted(digit_files.iterdir())[:20]:
        (folder / file.stem[-1]).mkdir(exist_ok=True, parents=True)
        (folder / file.stem[-1] / file.name).symlink_to(file)
    alone, means = model.predict(folder / "0"), model.predict(folder / "0", views=3)
    assert [each.path for each in means] == [each.path for each in alone]
    assert means[0].probabilities != alone[0].probabilities

    result = model.evaluate(folder, views=3)
    assert (result.count, result.unit) == (20, "images")
    run = open_store(model.address).client.get_run(result.run_id)
    assert run.data.tags["views"] == "3"
    assert run.data.metrics["eval_accuracy"] == result.metrics["eval_accuracy"]
    first, second = str(result).splitlines()
    assert first.startswith(f"digits on {folder}: accuracy {result.metrics['eval_accuracy']:.4f} (")
    assert first.endswith(
        "on 20 images, mean over 3 views of an image, itself and 2 by data.augmentation"
    )
    assert second == f"  run {result.run_id} in {model.store.uri}"


@pytest.mark.parametrize(
    ("predict", "message"),
    [
        (
            lambda model, file: model.predict(file, views=2, confidence_level=0.9),
            "Several views and a confidence level cannot be used together: the prediction sets "
            "are calibrated for the outputs of single images. Leave out one of them.",
        ),
        (
            lambda model, file: model.evaluate(file, views=0),
            "views: expected an integer, 1 or more. Received 0.",
        ),
    ],
)
def test_views_that_cannot_be_made_are_an_error(
    model: pipeline.Model, digit_files: Path, predict: Callable[..., Any], message: str
) -> None:
    with pytest.raises(pipeline.UsageError) as error:
        predict(model, digit_files)
    assert str(error.value) == message
