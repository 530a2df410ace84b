"""The registry: the champion, and its comparisons."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from pipeline.errors import TrackingError
from pipeline.tracking import registry
from pipeline.tracking.registry import Champion, ComparisonCounts
from pipeline.tracking.run_logger import start_run
from pipeline.tracking.store import Store, open_store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A store with the registered model `ants` of three versions, all of one run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("registry"))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        opened = open_store(None)
        run_logger = start_run(opened, experiment="ants", name="ants")
        run_logger.end("FINISHED")
        opened.client.create_registered_model("ants")
        for _ in range(3):
            opened.client.create_model_version("ants", "file:///nowhere", run_logger.run_id)
        yield opened


@pytest.fixture(autouse=True)
def first_is_champion(store: Store) -> None:
    store.client.set_registered_model_alias("ants", "champion", "1")


def champion(store: Store) -> Champion:
    found = registry.champion(store, "ants")
    assert found
    return found


def test_a_version_takes_the_place_of_the_champion_that_it_was_compared_with(store: Store) -> None:
    before = champion(store)
    assert (before.name, before.version, before.model.uri) == ("ants", "1", "models:/ants/1")
    assert registry.promote(store, "ants", "2", instead_of=before)
    assert champion(store).version == "2"
    assert not registry.promote(store, "ants", "3", instead_of=before)
    assert not registry.promote(store, "ants", "3", instead_of=None)
    assert champion(store).version == "2"


def test_of_versions_that_are_promoted_at_once_one_becomes_champion(store: Store) -> None:
    before, together, promoted = champion(store), threading.Barrier(2), []

    def promote(version: str) -> None:
        together.wait()
        if registry.promote(store, "ants", version, instead_of=before):
            promoted.append(version)

    threads = [threading.Thread(target=promote, args=(version,)) for version in ("2", "3")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert promoted == [champion(store).version]


def test_a_version_that_another_process_replaced_at_once_is_not_champion(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, set_alias = champion(store), store.client.set_registered_model_alias

    def set_both(name: str, alias: str, version: str) -> None:
        set_alias(name, alias, version)
        set_alias(name, alias, "3")

    monkeypatch.setattr(store.client, "set_registered_model_alias", set_both)
    assert not registry.promote(store, "ants", "2", instead_of=before)


def test_without_the_alias_there_is_no_champion(store: Store) -> None:
    store.client.delete_registered_model_alias("ants", "champion")
    assert registry.champion(store, "ants") is None
    assert registry.promote(store, "ants", "3", instead_of=None)
    assert champion(store).version == "3"


def test_comparisons_are_counted_by_images_and_by_champion(store: Store) -> None:
    first = champion(store)
    assert registry.count_comparisons(store, first, "digest") == ComparisonCounts(0, 0)
    registry.record_comparison(store, "2", first, "digest")
    registry.record_comparison(store, "2", first, "digest")  # once more is the same one
    registry.record_comparison(store, "3", first, "other")
    counts = registry.count_comparisons(store, first, "digest")
    assert (counts, counts.largest) == (ComparisonCounts(images=1, champion=2), 2)
    store.client.set_registered_model_alias("ants", "champion", "2")
    registry.record_comparison(store, "3", champion(store), "digest")
    counts = registry.count_comparisons(store, champion(store), "digest")
    assert (counts, counts.largest) == (ComparisonCounts(images=2, champion=1), 2)


def test_a_champion_whose_run_was_deleted_is_an_error(store: Store) -> None:
    run_id = champion(store).model.run_id
    store.client.delete_run(run_id)
    with pytest.raises(TrackingError) as refused:
        registry.champion(store, "ants")
    store.client.restore_run(run_id)
    assert str(refused.value) == (
        f"Cannot find the champion of ants, version 1: The run ants ({run_id}) was deleted in "
        f"{store.uri}. To let the next model take its place without a comparison, delete the alias "
        "`champion` of ants in the MLflow UI."
    )


def test_a_registered_model_that_does_not_exist_is_an_error(store: Store) -> None:
    with pytest.raises(TrackingError) as refused:
        registry.champion(store, "bees")
    assert str(refused.value) == (
        f"Cannot read the registered model bees in {store.uri}: Registered Model with name=bees "
        "not found."
    )
