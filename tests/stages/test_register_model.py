"""The model in the registry, and when it becomes the champion."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlflow import MlflowException

from pipeline.data.image_digests import FILE_NAME
from pipeline.evaluation.predictions import Predictions
from pipeline.evaluation.significance import level_of_comparison
from pipeline.recipe.loader import load_recipe
from pipeline.stages import champion_comparison
from pipeline.stages import register_model as stage
from pipeline.stages.register_model import RegisteredModel
from pipeline.tracking import registry
from pipeline.tracking.lookup import files_of
from pipeline.tracking.store import Store, open_store
from pipeline.tracking.stored_model import DATA
from pipeline.workflows.single_run import RunResult, run

RECIPE = (
    "name: ten\n"
    "data: {source: digits, batch_size: 64}\n"
    "model: {architecture: mlp}\n"
    "training: {epochs: 2}\n"
    "tracking: {register: ten-digits, promote: better}\n"
)

Runs = tuple[RunResult, RunResult, list[str]]


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
def store(runs: Runs) -> Store:
    return open_store(runs[0].tracking_uri)


def register(
    result: RunResult, store: Store, name: str, *, seed: int = 0, promote_on: str = "test"
) -> RegisteredModel:
    """Register a run's model under a name, as if it was trained on the splits of a seed."""
    from pipeline.inference.batch_prediction import predict
    from pipeline.inference.classifier import load_classifier
    from pipeline.tracking.lookup import find_model

    path = Path("register.yaml")
    path.write_text(RECIPE.replace("ten-digits", name))
    overrides = (f"data.split_seed={seed}", f"tracking.promote_on={promote_on}")
    recipe = load_recipe(path, overrides).recipe
    splits = recipe.data.load()
    predicted = {}
    with files_of(store, find_model(store, result.run_id)) as directory:
        classifier = load_classifier(directory / DATA)
    for prefix, split in splits.named().items():
        pixels = split.images.read(np.arange(len(split)))
        answers = predict(classifier, range(len(split)), pixels.__getitem__)
        probabilities = np.array([answer.outputs for answer in answers])
        predicted[prefix] = Predictions(
            splits.class_names, split.names, split.hex_digests(), split.labels, probabilities
        )
    registered = stage.register_model(recipe, result.run_id, splits, predicted, store=store)
    assert registered
    return registered


def champion_of(store: Store, name: str) -> str | None:
    champion = registry.champion(store, name)
    return champion.version if champion else None


def test_the_first_one_is_the_champion_and_a_better_one_takes_its_place(
    runs: Runs, store: Store
) -> None:
    poor, good, messages = runs
    assert poor.registered == RegisteredModel("1", True, {})
    assert good.registered is not None
    assert (good.registered.version, good.registered.is_champion) == ("2", True)
    gained = good.metrics["test_accuracy"] - poor.metrics["test_accuracy"]
    metrics = good.registered.metrics
    assert metrics["champion/accuracy_difference"] == pytest.approx(gained)
    assert 0 < metrics["champion/accuracy_difference_low"] < gained
    assert (metrics["champion/count"], metrics["champion/comparisons"]) == (269, 1)
    assert store.client.get_run(good.run_id).data.metrics.items() >= metrics.items()
    champion = registry.champion(store, "ten-digits")
    assert champion is not None
    assert (champion.version, champion.model.run_id) == ("2", good.run_id)
    assert good.exit_code == 0
    about = [message for message in messages if "ten-digits" in message]
    assert about[:3] == [
        "Registered version 1 of ten-digits",
        "Version 1 of ten-digits is the new champion",
        "Registered version 2 of ten-digits",
    ]
    assert about[3].startswith(
        "Compared with models:/ten-digits/1 on 269 of 269 test images, those that neither model "
        "was trained or chosen on: accuracy +"
    )
    assert about[3].endswith(
        " where at most 0.025 is significant. It is comparison 1 on this test split, and 1 with "
        "this champion."
    )
    assert about[4] == "Version 2 of ten-digits is the new champion"


def test_a_worse_one_and_one_as_good_do_not(
    runs: Runs, store: Store, in_empty_folder: Path, messages: list[str]
) -> None:
    poor, good, _ = runs
    assert register(good, store, "steady").is_champion
    for result in (poor, good):
        registered = register(result, store, "steady")
        assert not registered.is_champion
        assert registered.metrics["champion/p_value"] > 0.1 or result is poor
        assert registered.metrics["champion/accuracy_difference"] <= 0
        assert messages[-1] == "models:/steady/1 remains the champion of steady"
    assert champion_of(store, "steady") == "1"


def test_each_comparison_lowers_the_level_of_the_next(
    runs: Runs, store: Store, in_empty_folder: Path
) -> None:
    poor, good, _ = runs
    register(good, store, "often")
    for number in (1, 2, 3):
        metrics = register(poor, store, "often").metrics
        assert metrics["champion/comparisons"] == number
        assert metrics["champion/significance_level"] == level_of_comparison(number)
    tags = store.client.get_registered_model("often").tags
    assert sorted(tags) == [f"comparison/{version}/1" for version in (2, 3, 4)]
    assert len(set(tags.values())) == 1


def test_comparisons_with_a_champion_count_whatever_the_images(
    runs: Runs, store: Store, in_empty_folder: Path, messages: list[str]
) -> None:
    poor, good, _ = runs
    register(good, store, "seeds")
    register(poor, store, "seeds")
    metrics = register(poor, store, "seeds", seed=1).metrics
    assert metrics["champion/comparisons"] == 2
    assert messages[-2].endswith(
        " where at most 0.0083 is significant. It is comparison 1 on this test split, and 2 with "
        "this champion."
    )


def test_images_that_a_model_was_trained_on_are_left_out(
    runs: Runs, store: Store, in_empty_folder: Path
) -> None:
    poor, good, _ = runs
    register(poor, store, "elsewhere")
    metrics = register(good, store, "elsewhere", seed=1).metrics
    assert 20 < metrics["champion/count"] < 80  # of 269; a seventh of them were test images


def test_too_few_images_promote_nothing(
    runs: Runs,
    store: Store,
    in_empty_folder: Path,
    messages: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    poor, good, _ = runs
    register(poor, store, "few")
    few = lambda *_: np.arange(6)  # noqa: E731
    monkeypatch.setattr(champion_comparison, "comparable_images", few)
    registered = register(good, store, "few")
    assert registered == RegisteredModel(
        "2",
        False,
        {
            "champion/count": 6.0,
            "champion/comparisons": 0.0,
            "champion/significance_level": level_of_comparison(1),
        },
    )
    assert messages[-2:] == [
        "WARNING: Not compared with models:/few/1: of 269 test images, 6 remain that neither model "
        "was trained or chosen on. At least 7 are needed. Train with the champion's splits: the "
        "same data.split_seed, or data with a test split.",
        "models:/few/1 remains the champion of few",
    ]
    assert not store.client.get_registered_model("few").tags


def test_validation_images_decide_if_the_recipe_says_so(
    runs: Runs, store: Store, in_empty_folder: Path, messages: list[str]
) -> None:
    poor, good, _ = runs
    register(poor, store, "validated", promote_on="validation")
    assert register(good, store, "validated", promote_on="validation").is_champion
    assert messages[-2].startswith(
        "Compared with models:/validated/1 on 269 of 269 validation images, those that both models "
        "were chosen on and neither was trained on: accuracy +"
    )


def test_a_champion_that_changed_meanwhile_is_compared_too(
    runs: Runs,
    store: Store,
    in_empty_folder: Path,
    messages: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    poor, good, _ = runs
    register(poor, store, "raced")
    compare, competitors = stage.compare_with_champion, ["2"]

    def promote_another(*arguments: Any, **options: Any) -> Any:
        compared = compare(*arguments, **options)
        if competitors:
            store.client.set_registered_model_alias("raced", "champion", competitors.pop())
        return compared

    registry.register(store, registry.find_model(store, good.run_id), "raced")
    monkeypatch.setattr(stage, "compare_with_champion", promote_another)
    assert not register(good, store, "raced").is_champion
    assert champion_of(store, "raced") == "2"
    assert messages[-3] == "Another version of raced became champion meanwhile"
    assert messages[-1] == "models:/raced/2 remains the champion of raced"
    assert messages[-2].startswith("Compared with models:/raced/2 on 269 of 269 test images")


def test_a_registry_that_cannot_be_read_promotes_nothing(
    runs: Runs,
    store: Store,
    in_empty_folder: Path,
    messages: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    poor, good, _ = runs
    register(good, store, "unread")

    def fail(*_: object) -> None:
        raise MlflowException("the database is away")

    with monkeypatch.context() as patch:
        patch.setattr(store.client, "get_model_version", fail)
        registered = register(poor, store, "unread")
    error = (
        "Version 2 of unread was not promoted: Cannot find the champion of unread, version 1: "
        f"There is no model models:/unread/1 in {store.uri}: the database is away. To let the next "
        "model take its place without a comparison, delete the alias `champion` of unread in the "
        "MLflow UI."
    )
    assert registered == RegisteredModel("2", False, {}, error)
    assert messages[-1] == f"WARNING: {error}"
    with monkeypatch.context() as patch:
        patch.setattr(store.client, "get_registered_model", fail)
        registered = register(poor, store, "unread")
    assert registered.error == (
        "Version 3 of unread was not promoted: Cannot read the registered model unread in "
        f"{store.uri}: the database is away."
    )
    assert champion_of(store, "unread") == "1"
    assert replace(poor, registered=registered).exit_code == 1


def test_a_champion_with_other_classes_stays(
    runs: Runs, store: Store, in_empty_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(runs[0], store, "classes")
    load: Any = champion_comparison.load_image_classifier

    def renamed(directory: Path) -> Any:
        classifier = load(directory)
        interface = replace(classifier.interface, class_names=tuple("abcdefghij"))
        return replace(classifier, interface=interface)

    monkeypatch.setattr(champion_comparison, "load_image_classifier", renamed)
    assert register(runs[1], store, "classes").error == (
        "Version 2 of classes was not promoted: models:/classes/1 cannot be compared: its classes "
        "are a, b, c, d, e, f, g, h, i, j. The new model's are 0, 1, 2, 3, 4, 5, 6, 7, 8, 9."
    )


def test_a_champion_of_unknown_images_stays(
    runs: Runs, store: Store, in_empty_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(runs[0], store, "unknown")
    monkeypatch.setattr(champion_comparison, "read_image_digests", lambda _: None)
    assert register(runs[1], store, "unknown").error == (
        "Version 2 of unknown was not promoted: models:/unknown/1 cannot be compared: the digests "
        "of its training data are not among its files. Register a model that this version "
        "trained, and set the alias `champion` of unknown to it in the MLflow UI."
    )


def test_the_digests_are_with_the_model_and_with_the_run(runs: Runs, store: Store) -> None:
    champion = registry.champion(store, "ten-digits")
    assert champion
    with files_of(store, champion.model) as directory:
        assert (directory / DATA / FILE_NAME).is_file()
    artifacts = store.client.list_artifacts(champion.model.run_id)
    assert FILE_NAME in [artifact.path for artifact in artifacts]


def test_a_run_that_is_not_in_the_store_yet_is_not_registered(
    runs: Runs, store: Store, in_empty_folder: Path
) -> None:
    Path("recipe.yaml").write_text(RECIPE)
    recipe = load_recipe(Path("recipe.yaml")).recipe
    splits = recipe.data.load()
    registered = stage.register_model(
        recipe, runs[0].run_id, splits, {}, store=store, outbox=Path("my runs/outbox/1")
    )
    assert registered == RegisteredModel(
        None,
        False,
        {},
        "The model was not registered as ten-digits: It is not in the store yet. After `pipeline "
        "sync 'my runs/outbox/1'`, register it in the MLflow UI.",
    )


def test_a_recipe_that_names_no_model_registers_none(digits_run: RunResult) -> None:
    assert digits_run.registered is None
    assert digits_run.exit_code == 0
