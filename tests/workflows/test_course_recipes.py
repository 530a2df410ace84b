"""The recipes of the course: shortened, and as their heads describe them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pipeline.recipe.loader import load_recipe
from pipeline.recipe.shipped import shipped_recipes
from pipeline.stages.train_model import train_model
from pipeline.workflows.single_run import run

COURSE = {name: path for name, path in shipped_recipes().items() if name.startswith("course/")}
_TOLERANCE = 0.05  # of a result that a head gives


def needs_files(path: Path) -> bool:
    """Whether the data of a recipe are files or downloads, which the machine may lack."""
    return load_recipe(path, environment={}).recipe.data.source not in ("generated", "digits")


SELF_CONTAINED = [name for name, path in COURSE.items() if not needs_files(path)]


@pytest.mark.parametrize("name", SELF_CONTAINED)
def test_a_recipe_trains_for_an_epoch(name: str) -> None:
    shortened = {"training.epochs": 1, "data.batch_size": 50}
    recipe = load_recipe(COURSE[name], shortened, environment={}).recipe
    trained = train_model(recipe, recipe.data.load(), on_epoch=lambda *_: None)
    assert len(trained.history.rows) == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", SELF_CONTAINED)
@pytest.mark.usefixtures("in_empty_folder")
def test_a_recipe_has_the_result_of_its_head(name: str) -> None:
    result = run(load_recipe(COURSE[name], environment={}))
    head = re.search(
        r"# pipeline run \S+ +about \d+ s on 2 CPU cores +(\w+) (?:about )?(\d+\.\d+)",
        COURSE[name].read_text("utf-8"),
    )
    assert head
    assert result.metrics[head[1]] == pytest.approx(float(head[2]), abs=_TOLERANCE)
