"""Which runs can go on, and what is said of those that can't."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.errors import UsageError
from pipeline.tracking import run_logger as recording
from pipeline.tracking.resumable_runs import find_resumable_run
from pipeline.tracking.run_logger import RunLogger, reopen_run
from pipeline.tracking.store import Store, checkpoint_directory, open_store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("store"))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        yield open_store(None)


def begun(store: Store, experiment: str = "ants") -> RunLogger:
    run_logger = recording.start_run(store, experiment=experiment, name="a run", description="")
    checkpoint_directory(run_logger.run_id).mkdir(parents=True)
    return run_logger


def refused(store: Store, wanted: str, experiment: str = "ants") -> str:
    with pytest.raises(UsageError) as error:
        find_resumable_run(store, wanted, experiment=experiment)
    return str(error.value)


def test_the_latest_is_the_last_one_that_was_interrupted(store: Store) -> None:
    for state in ("KILLED", "FAILED", "FINISHED"):
        run_logger = begun(store, "bees")
        run_logger.close(state)  # type: ignore[arg-type]
        if state == "FAILED":
            failed = run_logger.run_id
            assert find_resumable_run(store, "a run", experiment="bees") == failed
    alive = begun(store, "bees")
    assert find_resumable_run(store, "latest", experiment="bees") == failed
    alive.close("KILLED")
    assert find_resumable_run(store, "latest", experiment="bees") == alive.run_id


def test_where_none_was_interrupted_there_is_no_latest(store: Store) -> None:
    expected = (
        f"No run of the experiment 'wasps' in {store.uri} was interrupted and can go on from "
        f"{Path.cwd()}."
    )
    assert refused(store, "latest", "wasps") == expected
    begun(store, "wasps").close("FINISHED")
    assert refused(store, "latest", "wasps") == expected


def test_a_finished_run_is_refused(store: Store) -> None:
    run_logger = begun(store)
    run_logger.close("FINISHED")
    assert refused(store, run_logger.run_id) == (
        f"Run {run_logger.run_id} is finished: there is nothing to go on with."
    )


def test_a_run_without_checkpoints_here_is_refused(store: Store) -> None:
    run_logger = begun(store)
    run_logger.close("KILLED")
    folder = checkpoint_directory(run_logger.run_id)
    folder.rmdir()
    assert refused(store, run_logger.run_id) == (
        f"Run {run_logger.run_id} cannot go on from here: {folder} is missing. A run goes on in the "
        "working folder that it was started in. Start it anew without --resume."
    )


def test_a_run_that_is_running_is_refused(store: Store) -> None:
    run_logger = begun(store)
    with pytest.raises(UsageError) as error:
        reopen_run(store, run_logger.run_id)
    assert str(error.value) == f"Run {run_logger.run_id} is still running."
    run_logger.close("FINISHED")


def test_a_run_that_goes_on_has_no_metric_twice(store: Store) -> None:
    run_logger = begun(store)
    run_logger.metrics({"epoch/loss": 0.5}, step=1)
    run_logger.tags({"reason": "interrupted"})
    run_logger.close("KILLED")
    again = reopen_run(store, run_logger.run_id)
    run = store.client.get_run(run_logger.run_id)
    assert run.info.status == "RUNNING"
    assert "reason" not in run.data.tags
    for step in (1, 2):
        again.metrics({"epoch/loss": 0.5 / step, "epoch/accuracy": 0.9}, step=step)
    again.close("FINISHED")
    for name in ("epoch/loss", "epoch/accuracy"):
        history = store.client.get_metric_history(run_logger.run_id, name)
        assert [metric.step for metric in history] == [1, 2]


def test_what_a_run_left_is_sent_before_it_goes_on(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_logger = begun(store)
    with monkeypatch.context() as patch:
        patch.setattr(recording, "_RETRY_SECONDS", 0.01)
        patch.setattr(store.client, "log_batch", lambda *_, **__: 1 / 0)
        run_logger.metrics({"epoch/loss": 0.5}, step=1)
        left = run_logger.close("KILLED")
    assert left
    assert find_resumable_run(store, run_logger.run_id, experiment="ants") == run_logger.run_id
    assert not left.exists()
    assert store.client.get_run(run_logger.run_id).data.metrics == {"epoch/loss": 0.5}
