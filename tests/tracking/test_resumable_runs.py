"""Which runs can be resumed, and the errors for those that cannot."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.errors import UsageError
from pipeline.tracking import background_writer
from pipeline.tracking import run_logger as run_loggers
from pipeline.tracking.background_writer import RetrySchedule
from pipeline.tracking.resumable_runs import find_resumable_run
from pipeline.tracking.run_logger import RunLogger, reopen_run
from pipeline.tracking.store import Store, checkpoint_directory, open_store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("store"))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        yield open_store(None)


def started(store: Store, experiment: str = "ants") -> RunLogger:
    run_logger = run_loggers.start_run(store, experiment=experiment, name="a run", description="")
    checkpoint_directory(run_logger.run_id).mkdir(parents=True)
    return run_logger


def refused(store: Store, wanted: str, experiment: str = "ants") -> str:
    with pytest.raises(UsageError) as error:
        find_resumable_run(store, wanted, experiment=experiment)
    return str(error.value)


def test_the_latest_is_the_last_one_that_was_interrupted(store: Store) -> None:
    for state in ("KILLED", "FAILED", "FINISHED"):
        run_logger = started(store, "bees")
        run_logger.end(state)
        if state == "FAILED":
            failed = run_logger.run_id
            assert find_resumable_run(store, "a run", experiment="bees") == failed
    alive = started(store, "bees")
    assert find_resumable_run(store, "latest", experiment="bees") == failed
    alive.end("KILLED")
    assert find_resumable_run(store, "latest", experiment="bees") == alive.run_id


def test_where_none_was_interrupted_there_is_no_latest(store: Store) -> None:
    expected = (
        f"Nothing to resume: the experiment 'wasps' in {store.uri} has no interrupted run with "
        f"checkpoints in {Path.cwd()}."
    )
    assert refused(store, "latest", "wasps") == expected
    started(store, "wasps").end("FINISHED")
    assert refused(store, "latest", "wasps") == expected


def test_a_finished_run_is_refused(store: Store) -> None:
    run_logger = started(store)
    run_logger.end("FINISHED")
    assert refused(store, run_logger.run_id) == (
        f"Run {run_logger.run_id} is finished: nothing to resume."
    )


def test_a_run_without_checkpoints_here_is_refused(store: Store) -> None:
    run_logger = started(store)
    run_logger.end("KILLED")
    folder = checkpoint_directory(run_logger.run_id)
    folder.rmdir()
    assert refused(store, run_logger.run_id) == (
        f"Cannot resume run {run_logger.run_id} from here: {folder} does not exist. Resume it in "
        "the working directory where it was started, or start a new run without --resume."
    )


def test_a_run_that_is_running_is_refused(store: Store) -> None:
    run_logger = started(store)
    with pytest.raises(UsageError) as error:
        reopen_run(store, run_logger.run_id)
    assert str(error.value) == f"Run {run_logger.run_id} is still running."
    run_logger.end("FINISHED")


def test_a_resumed_run_has_no_metric_twice(store: Store) -> None:
    run_logger = started(store)
    run_logger.log_metrics({"epoch/loss": 0.5}, step=1)
    run_logger.set_tags({"reason": "interrupted"})
    run_logger.end("KILLED")
    again = reopen_run(store, run_logger.run_id)
    run = store.client.get_run(run_logger.run_id)
    assert run.info.status == "RUNNING"
    assert "reason" not in run.data.tags
    for step in (1, 2):
        again.log_metrics({"epoch/loss": 0.5 / step, "epoch/accuracy": 0.9}, step=step)
    again.end("FINISHED")
    for name in ("epoch/loss", "epoch/accuracy"):
        history = store.client.get_metric_history(run_logger.run_id, name)
        assert [metric.step for metric in history] == [1, 2]


def test_the_outbox_of_a_run_is_sent_before_it_resumes(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background_writer, "RETRIES", RetrySchedule(0.01, after_end=[0.0]))
    run_logger = started(store)
    with monkeypatch.context() as patch:
        patch.setattr(store.client, "log_batch", lambda *_, **__: 1 / 0)
        run_logger.log_metrics({"epoch/loss": 0.5}, step=1)
        run_logger.end("KILLED")
    outbox = run_logger.outbox
    assert outbox
    assert find_resumable_run(store, run_logger.run_id, experiment="ants") == run_logger.run_id
    assert not outbox.exists()
    assert store.client.get_run(run_logger.run_id).data.metrics == {"epoch/loss": 0.5}
