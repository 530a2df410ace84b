"""Which runs can be predicted with by means over views."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from pipeline.errors import UsageError
from pipeline.tracking.lookup import find_model
from pipeline.tracking.store import open_store
from pipeline.workflows import view_averaging
from pipeline.workflows.run_result import RunResult


@pytest.mark.parametrize(
    ("recipe", "reason"),
    [
        (
            "data: {source: digits, augmentation: [{mix_up: {}}]}\nmodel: {architecture: mlp}\n",
            "views need data.augmentation, which random views are made by, and the recipe of "
            "the run digits (ID) has none that changes images one by one. Predict without "
            "views, or run the recipe with augmentation.",
        ),
        (
            "data: {source: digits, task: reconstruction, augmentation: [{random_flip: {}}]}\n"
            "model: {architecture: autoencoder}\n",
            "views are for outputs that have a mean, and those of the run digits (ID) are images: "
            "its task is reconstruction. Predict without views.",
        ),
        (
            "data: {source: digits, was_removed: 3}\nmodel: {architecture: mlp}\n",
            "The recipe of the run digits (ID) is of another version of pipeline and cannot be "
            "read. Predict without views.",
        ),
    ],
    ids=["no augmentation of single images", "reconstruction", "another version"],
)
def test_a_recipe_without_views_is_an_error_with_the_reason(
    digits_run: RunResult,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    recipe: str,
    reason: str,
) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(recipe)
    monkeypatch.setattr(
        view_averaging, "recipe_of", lambda store, model: contextlib.nullcontext(path)
    )
    store = open_store(digits_run.tracking_uri)
    with pytest.raises(UsageError) as caught:
        view_averaging.view_averaging(store, find_model(store, digits_run.run_id), 2)
    assert str(caught.value) == reason.replace("ID", digits_run.run_id)
