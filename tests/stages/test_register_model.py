"""The model in the registry, and when it becomes the champion."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.recipe.loader import load_recipe
from pipeline.stages import register_model as stage
from pipeline.tracking import registry
from pipeline.tracking.store import Store, open_store
from pipeline.workflows.single_run import RunResult, run

RECIPE = (
    "name: ten\n"
    "data: {source: digits, batch_size: 64}\n"
    "model: {architecture: mlp}\n"
    "training: {epochs: 2}\n"
    "tracking: {register: ten-digits, promote: better}\n"
)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, logged_messages: Any) -> Any:
    """A poor run and a better one, and the messages of both."""
    with pytest.MonkeyPatch.context() as patch, logged_messages() as messages:
        patch.chdir(tmp_path_factory.mktemp("registry"))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        Path("recipe.yaml").write_text(RECIPE)
        poor = run(load_recipe(Path("recipe.yaml"), ("optimizer.learning_rate=1e-6",)))
        good = run(load_recipe(Path("recipe.yaml")))
        yield poor, good, list(messages)


@pytest.fixture
def store(runs: Any) -> Store:
    return open_store(runs[0].tracking_uri)


def test_the_first_one_is_the_champion_and_a_better_one_takes_its_place(
    runs: tuple[RunResult, RunResult, list[str]], store: Store
) -> None:
    poor, good, messages = runs
    assert poor.registered == stage.RegisteredModel("1", True, {})
    assert good.registered is not None
    assert (good.registered.version, good.registered.is_champion) == ("2", True)
    gained = good.metrics["test_accuracy"] - poor.metrics["test_accuracy"]
    metrics = good.registered.metrics
    assert metrics["champion/accuracy_difference"] == pytest.approx(gained)
    assert 0 < metrics["champion/accuracy_difference_low"] < gained
    assert store.client.get_run(good.run_id).data.metrics.items() >= metrics.items()
    champion = registry.champion(store, "ten-digits")
    assert champion is not None
    assert (champion.uri, champion.run_id) == ("models:/ten-digits/2", good.run_id)
    about = [message for message in messages if "ten-digits" in message]
    assert about[:3] == [
        "Registered version 1 of ten-digits",
        "Version 1 of ten-digits is the new champion",
        "Registered version 2 of ten-digits",
    ]
    assert about[3].startswith(
        "Compared with models:/ten-digits/1 on the same 269 test images: accuracy +"
    )
    assert about[4] == "Version 2 of ten-digits is the new champion"


def register_again(result: RunResult, store: Store, **changes: Any) -> Any:
    """Register a run's model once more."""
    import mlflow

    from pipeline.evaluation import predictions

    recipe = load_recipe(Path("recipe.yaml")).recipe
    splits = recipe.data.load()
    folder = Path(mlflow.MlflowClient(store.uri).download_artifacts(result.run_id, "predictions"))
    predicted = {path.stem: predictions.read_predictions(path) for path in folder.iterdir()}
    predicted = {name: replace(one, **changes) for name, one in predicted.items()}
    return stage.register_model(recipe, result.run_id, splits, predicted, store=store)


def test_a_worse_one_and_one_as_good_do_not(
    runs: Any, store: Store, in_empty_folder: Path, messages: list[str]
) -> None:
    Path("recipe.yaml").write_text(RECIPE)
    poor, good, _ = runs
    before = registry.champion(store, "ten-digits")
    assert before is not None
    for result in (poor, good):
        registered = register_again(result, store)
        assert not registered.is_champion
        assert registered.metrics["champion/accuracy_difference_low"] <= 0
        assert messages[-1] == f"{before.uri} remains the champion of ten-digits"
    assert registry.champion(store, "ten-digits") == before


def test_a_champion_with_other_classes_stays_with_a_warning(
    runs: Any, store: Store, in_empty_folder: Path, messages: list[str]
) -> None:
    Path("recipe.yaml").write_text(RECIPE)
    names = tuple("abcdefghij")
    assert register_again(runs[1], store, class_names=names) is None
    before = registry.champion(store, "ten-digits")
    assert before is not None
    assert messages[-1] == (
        f"WARNING: {before.uri} cannot be compared: its classes are 0, 1, 2, 3, 4, 5, 6, 7, 8, 9. "
        "The new model's are a, b, c, d, e, f, g, h, i, j."
    )


def test_a_recipe_that_names_no_model_registers_none(digits_run: RunResult) -> None:
    assert digits_run.registered is None
