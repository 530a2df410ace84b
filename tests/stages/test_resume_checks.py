"""A run resumes with the recipe and the images that it was started with."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.errors import DataError, UsageError
from pipeline.recipe.loader import LoadedRecipe, load_recipe
from pipeline.stages import resume_checks

RECIPE = "data: {source: digits}\nmodel: {architecture: mlp}\n"


def loaded(*overrides: str) -> LoadedRecipe:
    path = Path("my recipe.yaml")
    path.write_text(RECIPE)
    return load_recipe(path, overrides)


def test_the_same_recipe_is_resumed(in_empty_folder: Path, messages: list[str]) -> None:
    resume_checks.save_origin(Path("run"), loaded("seed=3"))
    resume_checks.check_same_recipe(Path("run"), loaded("seed=3"))
    assert messages == []


def test_a_changed_recipe_is_refused_with_what_changed(in_empty_folder: Path) -> None:
    resume_checks.save_origin(Path("run"), loaded("optimizer.momentum=0.9", "optimizer.name=sgd"))
    with pytest.raises(UsageError) as refused:
        resume_checks.check_same_recipe(Path("run"), loaded("optimizer.name=lion"))
    assert str(refused.value) == (
        "The recipe has changed since run run was started:\n"
        "  optimizer.beta_1: was absent, is 0.9\n"
        "  optimizer.beta_2: was absent, is 0.99\n"
        "  optimizer.learning_rate: was 0.01, is 0.001\n"
        "  optimizer.momentum: was 0.9, is absent\n"
        "  optimizer.name: was sgd, is lion\n"
        "  optimizer.nesterov: was false, is absent\n"
        "Undo the changes, or start a new run without --resume."
    )


def test_another_version_of_the_engine_is_a_warning(
    in_empty_folder: Path, monkeypatch: pytest.MonkeyPatch, messages: list[str]
) -> None:
    resume_checks.save_origin(Path("run"), loaded())
    monkeypatch.setattr(resume_checks, "version", lambda name: "99.0")
    resume_checks.check_same_recipe(Path("run"), loaded())
    assert len(messages) == 2
    assert messages[1].startswith("WARNING: The run was started with keras 3.")
    assert messages[1].endswith(
        " and resumes with 99.0. Its metrics may differ from those of an uninterrupted run."
    )


def test_other_images_are_refused(in_empty_folder: Path) -> None:
    resume_checks.save_origin(Path("run"), loaded())
    for _ in range(2):
        resume_checks.check_same_images(Path("run"), "a" * 64)
    with pytest.raises(DataError) as refused:
        resume_checks.check_same_images(Path("run"), "b" * 64)
    assert str(refused.value) == (
        "The data has changed since run run was started: its digest was aaaaaaaaaaaa, and is "
        "bbbbbbbbbbbb. Restore it, or start a new run without --resume."
    )


def test_a_run_without_its_origin_is_refused(in_empty_folder: Path) -> None:
    with pytest.raises(UsageError) as refused:
        resume_checks.check_same_recipe(Path("run"), loaded())
    assert str(refused.value) == (
        "Cannot resume run run: run/origin.json cannot be read: [Errno 2] No such file or "
        "directory: 'run/origin.json'. Start a new run without --resume."
    )


def test_the_command_can_be_pasted_into_a_shell(in_empty_folder: Path) -> None:
    assert resume_checks.resume_command(loaded("training.epochs=3"), "0abc") == (
        "pipeline run 'my recipe.yaml' --set training.epochs=3 --resume 0abc"
    )
