"""Runs and models are found by what a person calls them."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.errors import UsageError
from pipeline.tracking import lookup
from pipeline.tracking import run_logger as run_loggers
from pipeline.tracking import store as stores
from pipeline.tracking.lookup import EXPECTED, files_of, find_model, find_run
from pipeline.tracking.store import Store, open_store
from pipeline.workflows.single_run import RunResult


@pytest.fixture(scope="module")
def store(digits_run: RunResult) -> Store:
    return open_store(digits_run.tracking_uri)


@pytest.fixture(scope="module")
def registered(digits_run: RunResult, store: Store) -> str:
    store.client.create_registered_model("ten-digits")
    source = find_model(store, digits_run.run_id).location
    store.client.create_model_version("ten-digits", source, digits_run.run_id)
    store.client.set_registered_model_alias("ten-digits", "champion", "1")
    return "models:/ten-digits"


def a_run_without_a_model(store: Store) -> str:
    run_logger = run_loggers.start_run(store, experiment="digits", name="digits", description="")
    run_logger.set_tags({"reason": "The loss became nan."})
    run_logger.end("FAILED")
    return run_logger.run_id


@pytest.mark.parametrize("called", ["digits", "latest"])
def test_a_name_and_latest_mean_the_newest_run_that_has_a_model(
    digits_run: RunResult, store: Store, called: str
) -> None:
    run_id = a_run_without_a_model(store)
    assert find_run(store, called).info.run_id == run_id
    found = find_model(store, called)
    assert (found.run_id, found.run_name) == (digits_run.run_id, "digits")
    assert found.uri == digits_run.model_uri


@pytest.mark.parametrize("called", ["digits", "latest"])
def test_a_model_is_found_beyond_the_first_pages(
    digits_run: RunResult, store: Store, called: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        a_run_without_a_model(store)
    monkeypatch.setattr(lookup, "_CHECKED", 1)
    monkeypatch.setattr(stores, "_PAGE", 1)
    assert find_model(store, called).run_id == digits_run.run_id


def test_runs_of_all_experiments_are_found(
    digits_run: RunResult, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = store.client.create_experiment("the last one")
    run_id = store.client.create_run(number, run_name="alone").info.run_id
    search = store.client.search_experiments
    monkeypatch.setattr(
        store.client, "search_experiments", lambda **given: search(**given, max_results=1)
    )
    assert find_run(store, "alone").info.run_id == run_id
    assert find_run(store, "digits").info.experiment_id != number


def test_a_run_is_found_by_its_id_and_by_its_models(
    digits_run: RunResult, store: Store, registered: str
) -> None:
    for called in (
        digits_run.run_id,
        f"runs:/{digits_run.run_id}/model",
        digits_run.model_uri,
        f"{registered}@champion",
        f"{registered}/1",
    ):
        assert find_run(store, called).info.run_id == digits_run.run_id
        assert find_model(store, called).location == find_model(store, "latest").location


def test_a_registered_model_is_called_by_its_version(store: Store, registered: str) -> None:
    found = find_model(store, f"{registered}@champion")
    assert (found.uri, found.model_id) == (f"{registered}/1", None)


def test_the_files_of_a_model_are_at_hand(digits_run: RunResult, store: Store) -> None:
    with files_of(store, find_model(store, "latest")) as folder:
        assert {path.name for path in (folder / "data").iterdir()} >= {
            "model.keras",
            "interface.json",
        }


def test_a_run_without_a_model_says_why_it_has_none(digits_run: RunResult, store: Store) -> None:
    run_id = a_run_without_a_model(store)
    with pytest.raises(UsageError) as refused:
        find_model(store, run_id)
    assert str(refused.value) == (
        f"The run digits ({run_id}) has no model. It is FAILED: The loss became nan."
    )


def test_a_misspelt_name_is_told_the_right_one(digits_run: RunResult, store: Store) -> None:
    with pytest.raises(UsageError) as refused:
        find_model(store, "digit")
    assert str(refused.value) == (
        f"There is no run digit in {store.uri}. {EXPECTED} Did you mean 'digits'?"
    )


def test_a_name_may_hold_quotes(digits_run: RunResult, store: Store) -> None:
    with pytest.raises(UsageError, match="There is no run o'clock' in"):
        find_run(store, "o'clock'")


@pytest.mark.parametrize(
    ("called", "problem"),
    [
        ("models:/absent@champion", "There is no model models:/absent@champion in {uri}: "),
        ("models:/", f"models:/ is not the URI of a model. {EXPECTED}"),
        ("0" * 32, f"There is no run {'0' * 32} in {{uri}}. {EXPECTED}"),
    ],
)
def test_what_is_not_there_is_named(store: Store, called: str, problem: str) -> None:
    with pytest.raises(UsageError) as refused:
        find_model(store, called)
    assert str(refused.value).startswith(problem.format(uri=store.uri))


def test_an_empty_store_says_how_to_start(in_empty_folder: Path) -> None:
    store = open_store(None)
    with pytest.raises(UsageError) as refused:
        find_model(store, "latest")
    assert str(refused.value) == (
        f"There is no run in {store.uri} yet. Start one with: pipeline run RECIPE"
    )
