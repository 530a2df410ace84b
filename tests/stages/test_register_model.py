"""The model in the registry, and when it becomes the champion."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.data import digits
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
def runs(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A run that has hardly learnt and a better one, with what each said, in that order."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("registry"))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        Path("recipe.yaml").write_text(RECIPE)
        messages: list[str] = []
        poor = run(
            load_recipe(Path("recipe.yaml"), ("optimizer.learning_rate=1e-6",)), say=messages.append
        )
        good = run(load_recipe(Path("recipe.yaml")), say=messages.append)
        yield poor, good, messages


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
    found = good.registered.metrics
    assert found["champion/accuracy_difference"] == pytest.approx(gained)
    assert 0 < found["champion/accuracy_difference_low"] < gained
    assert store.client.get_run(good.run_id).data.metrics.items() >= found.items()
    champion = registry.champion(store, "ten-digits")
    assert champion is not None
    assert (champion.uri, champion.run_id) == ("models:/ten-digits/2", good.run_id)
    told = [message for message in messages if "ten-digits" in message]
    assert told[:3] == [
        "Registered as version 1 of ten-digits",
        "Version 1 of ten-digits is the champion now",
        "Registered as version 2 of ten-digits",
    ]
    assert told[3].startswith("Against models:/ten-digits/1 on the same 269 test images: ")
    assert told[4] == "Version 2 of ten-digits is the champion now"


def again(result: RunResult, store: Store, **changes: Any) -> tuple[Any, list[str]]:
    """Register a run's model once more."""
    import mlflow

    from pipeline.evaluation import predictions

    recipe = load_recipe(Path("recipe.yaml")).recipe
    splits = digits.load(recipe.data)
    folder = Path(mlflow.MlflowClient(store.uri).download_artifacts(result.run_id, "predictions"))
    judged = {path.stem: predictions.read_predictions(path) for path in folder.iterdir()}
    judged = {name: replace(given, **changes) for name, given in judged.items()}
    messages: list[str] = []
    found = stage.register_model(
        recipe, result.run_id, splits, judged, store=store, say=messages.append
    )
    return found, messages


def test_a_worse_one_and_one_as_good_do_not(runs: Any, store: Store, in_empty_folder: Path) -> None:
    Path("recipe.yaml").write_text(RECIPE)
    poor, good, _ = runs
    before = registry.champion(store, "ten-digits")
    assert before is not None
    for result in (poor, good):
        found, messages = again(result, store)
        assert not found.is_champion
        assert found.metrics["champion/accuracy_difference_low"] <= 0
        assert messages[-1] == f"The champion of ten-digits stays {before.uri}"
    assert registry.champion(store, "ten-digits") == before


def test_a_champion_of_other_classes_stays_and_the_run_is_told(
    runs: Any, store: Store, in_empty_folder: Path
) -> None:
    Path("recipe.yaml").write_text(RECIPE)
    names = tuple("abcdefghij")
    found, messages = again(runs[1], store, class_names=names)
    assert found is None
    before = registry.champion(store, "ten-digits")
    assert before is not None
    assert messages[-1] == (
        f"WARNING: {before.uri} cannot be compared: its classes are 0, 1, 2, 3, 4, 5, 6, 7, 8, 9. "
        "The new model's are a, b, c, d, e, f, g, h, i, j."
    )


def test_a_recipe_that_names_no_model_registers_none(digits_run: RunResult) -> None:
    assert digits_run.registered is None
