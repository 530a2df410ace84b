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
# Deep networks, and those of many images; an epoch of them takes seconds.
LARGE = [
    f"course/{name}"
    for name in ("alexnet", "augmentation", "batch_norm", "dropout", "he_initialization")
]


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow if name in LARGE else ())
        for name in SELF_CONTAINED
    ],
)
def test_a_recipe_trains_for_an_epoch(name: str) -> None:
    shortened = {"training.epochs": 1, "data.batch_size": 50}
    recipe = load_recipe(COURSE[name], shortened, environment={}).recipe
    trained = train_model(recipe, recipe.data.load(), on_epoch=lambda *_: None)
    assert len(trained.history.rows) == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", COURSE)
@pytest.mark.usefixtures("in_empty_folder")
def test_a_recipe_has_the_result_of_its_head(name: str, request: pytest.FixtureRequest) -> None:
    source = load_recipe(COURSE[name], environment={}).recipe.data.source
    if source not in ("generated", "digits", "mnist"):
        pytest.skip(f"the data of the source {source} are not there")
    overrides = {}
    if source == "mnist":
        overrides["data.path"] = str(request.getfixturevalue("mnist_file"))
    result = run(load_recipe(COURSE[name], overrides, environment={}))
    head = re.search(
        r"# pipeline run \S+ +about \d+ s on 2 CPU cores +(\w+) (?:about )?(\d+\.\d+)",
        COURSE[name].read_text("utf-8"),
    )
    assert head
    expected = float(head[2])
    tolerance = 0 if head[1] == "test_accuracy" and expected == 1 else _TOLERANCE
    assert result.metrics[head[1]] == pytest.approx(expected, abs=tolerance)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["and", "or", "nand"])
def test_a_hidden_layer_computes_every_truth_table(kind: str) -> None:
    recipe = load_recipe(COURSE["course/xor_mlp"], {"data.kind": kind}, environment={}).recipe
    splits = recipe.data.load()
    trainer = train_model(recipe, splits, on_epoch=lambda *_: None).trainer
    predicted = trainer.predict(splits.named()["test"], "test").argmax(axis=1)
    assert predicted.tolist() == splits.named()["test"].labels.tolist()
