"""What a run goes on with has to be what it began with."""

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


def test_the_same_recipe_goes_on(in_empty_folder: Path) -> None:
    messages: list[str] = []
    resume_checks.save_origin(Path("run"), loaded("seed=3"))
    resume_checks.check_same_recipe(Path("run"), loaded("seed=3"), say=messages.append)
    assert messages == []


def test_a_changed_recipe_is_refused_with_what_changed(in_empty_folder: Path) -> None:
    resume_checks.save_origin(Path("run"), loaded("optimizer.momentum=0.9", "optimizer.name=sgd"))
    with pytest.raises(UsageError) as refused:
        resume_checks.check_same_recipe(Path("run"), loaded("optimizer.name=lion"))
    assert str(refused.value) == (
        "Run run was begun with another recipe:\n"
        "  optimizer.beta_1: absent then, 0.9 now\n"
        "  optimizer.beta_2: absent then, 0.99 now\n"
        "  optimizer.learning_rate: 0.01 then, 0.001 now\n"
        "  optimizer.momentum: 0.9 then, absent now\n"
        "  optimizer.name: sgd then, lion now\n"
        "  optimizer.nesterov: false then, absent now\n"
        "Take the changes back, or start a new run without --resume."
    )


def test_another_version_of_the_engine_is_told_of(
    in_empty_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resume_checks.save_origin(Path("run"), loaded())
    monkeypatch.setattr(resume_checks, "version", lambda name: "99.0")
    messages: list[str] = []
    resume_checks.check_same_recipe(Path("run"), loaded(), say=messages.append)
    assert len(messages) == 2
    assert messages[1].startswith("WARNING: the run was begun with keras 3.")
    assert messages[1].endswith(
        " and goes on with 99.0: its metrics may differ from those of a run that was not "
        "interrupted."
    )


def test_other_images_are_refused(in_empty_folder: Path) -> None:
    resume_checks.save_origin(Path("run"), loaded())
    for _ in range(2):
        resume_checks.check_same_images(Path("run"), "a" * 64)
    with pytest.raises(DataError) as refused:
        resume_checks.check_same_images(Path("run"), "b" * 64)
    assert str(refused.value) == (
        "The images are not those that run run was begun with (digest aaaaaaaaaaaa then, "
        "bbbbbbbbbbbb now). Put them back, or start a new run without --resume."
    )


def test_what_it_was_begun_with_has_to_be_there(in_empty_folder: Path) -> None:
    with pytest.raises(UsageError) as refused:
        resume_checks.check_same_recipe(Path("run"), loaded())
    assert str(refused.value) == (
        "Run run cannot go on: run/origin.json cannot be read: [Errno 2] No such file or "
        "directory: 'run/origin.json'. Start it anew without --resume."
    )


def test_the_command_can_be_pasted_into_a_shell(in_empty_folder: Path) -> None:
    assert resume_checks.resume_command(loaded("training.epochs=3"), "0abc") == (
        "pipeline run 'my recipe.yaml' --set training.epochs=3 --resume 0abc"
    )
