"""Which runs can go on, and what is said of those that can't."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.errors import UsageError
from pipeline.tracking import recorder as recording
from pipeline.tracking.recorder import Recorder, reopen
from pipeline.tracking.store import Store, checkpoints_folder, open_store
from pipeline.tracking.unfinished import find


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("store"))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        yield open_store(None)


def begun(store: Store, experiment: str = "ants") -> Recorder:
    recorder = recording.start(
        store, experiment=experiment, name="a run", description="", say=lambda message: None
    )
    checkpoints_folder(recorder.run_id).mkdir(parents=True)
    return recorder


def refused(store: Store, wanted: str, experiment: str = "ants") -> str:
    with pytest.raises(UsageError) as error:
        find(store, wanted, experiment=experiment)
    return str(error.value)


def test_the_latest_is_the_last_one_that_was_interrupted(store: Store) -> None:
    for state in ("KILLED", "FAILED", "FINISHED"):
        recorder = begun(store, "bees")
        recorder.close(state)  # type: ignore[arg-type]
        if state == "FAILED":
            failed = recorder.run_id
            assert find(store, "a run", experiment="bees") == failed
    alive = begun(store, "bees")
    assert find(store, "latest", experiment="bees") == failed
    alive.close("KILLED")
    assert find(store, "latest", experiment="bees") == alive.run_id


def test_where_none_was_interrupted_there_is_no_latest(store: Store) -> None:
    expected = (
        f"No run of the experiment 'wasps' in {store.uri} was interrupted and can go on from "
        f"{Path.cwd()}."
    )
    assert refused(store, "latest", "wasps") == expected
    begun(store, "wasps").close("FINISHED")
    assert refused(store, "latest", "wasps") == expected


def test_a_finished_run_is_refused(store: Store) -> None:
    recorder = begun(store)
    recorder.close("FINISHED")
    assert refused(store, recorder.run_id) == (
        f"Run {recorder.run_id} is finished: there is nothing to go on with."
    )


def test_a_run_without_checkpoints_here_is_refused(store: Store) -> None:
    recorder = begun(store)
    recorder.close("KILLED")
    folder = checkpoints_folder(recorder.run_id)
    folder.rmdir()
    assert refused(store, recorder.run_id) == (
        f"Run {recorder.run_id} cannot go on from here: {folder} is missing. A run goes on in the "
        "working folder that it was started in. Start it anew without --resume."
    )


def test_a_run_that_is_running_is_refused(store: Store) -> None:
    recorder = begun(store)
    with pytest.raises(UsageError) as error:
        reopen(store, recorder.run_id, say=lambda message: None)
    assert str(error.value) == f"Run {recorder.run_id} is still running."
    recorder.close("FINISHED")


def test_a_run_that_goes_on_has_no_metric_twice(store: Store) -> None:
    recorder = begun(store)
    recorder.metrics({"epoch/loss": 0.5}, step=1)
    recorder.tags({"reason": "interrupted"})
    recorder.close("KILLED")
    again = reopen(store, recorder.run_id, say=lambda message: None)
    run = store.client.get_run(recorder.run_id)
    assert run.info.status == "RUNNING"
    assert "reason" not in run.data.tags
    for step in (1, 2):
        again.metrics({"epoch/loss": 0.5 / step, "epoch/accuracy": 0.9}, step=step)
    again.close("FINISHED")
    for name in ("epoch/loss", "epoch/accuracy"):
        history = store.client.get_metric_history(recorder.run_id, name)
        assert [metric.step for metric in history] == [1, 2]


def test_what_a_run_left_is_sent_before_it_goes_on(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = begun(store)
    with monkeypatch.context() as patch:
        patch.setattr(recording, "_RETRY_SECONDS", 0.01)
        patch.setattr(store.client, "log_batch", lambda *_, **__: 1 / 0)
        recorder.metrics({"epoch/loss": 0.5}, step=1)
        left = recorder.close("KILLED")
    assert left
    assert find(store, recorder.run_id, experiment="ants") == recorder.run_id
    assert not left.exists()
    assert store.client.get_run(recorder.run_id).data.metrics == {"epoch/loss": 0.5}
