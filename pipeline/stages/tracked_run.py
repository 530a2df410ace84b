"""The lifecycle of a run in the tracking store, from RUNNING to FINISHED, FAILED or KILLED."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pipeline.console import hide_secrets
from pipeline.errors import PipelineError
from pipeline.shutdown import graceful_shutdown
from pipeline.stages.error_explanation import explain_error
from pipeline.tracking.run_logger import RunLogger, reopen_run, start_run
from pipeline.tracking.store import Store

_SECONDS_TO_SEND = 0.6  # after an interruption; what is not sent by then goes to the outbox


@dataclass
class TrackedRun:
    """An open run.

    Attributes:
        logger: logs to it.
        on_stop: called before the run ends with FAILED, with the error, or with KILLED, with None.
            It saves what the run needs to be resumed, in well under a second.
    """

    logger: RunLogger
    on_stop: Callable[[Exception | None], None] = lambda error: None


@contextlib.contextmanager
def tracked_run(
    store: Store,
    *,
    experiment: str,
    name: str,
    description: str = "",
    parent: str | None = None,
    resume: str | None = None,
) -> Iterator[TrackedRun]:
    """Start or resume a run, and end it however the block ends.

    Its log messages become the artifact `run.log`, and the load of the machine is logged. The
    secrets of the store are masked on the console, in the store and in errors.

    Args:
        store: contains the run.
        experiment: the name of its experiment.
        name: of a new run.
        description: of a new run.
        parent: the id of the run that a new one is under, if any.
        resume: the id of the run to resume, None for a new one.

    Raises:
        TrackingError: if the store does not accept the run.
        PipelineError: instead of an error whose cause is known. The run is FAILED, with the reason.
        KeyboardInterrupt: if the block is interrupted. The run is KILLED.
    """
    hide_secrets(store.secrets)
    if resume:
        run_logger = reopen_run(store, resume)
    else:
        run_logger = start_run(
            store, experiment=experiment, name=name, description=description, parent=parent
        )
    run_logger.attach_log(resumed=bool(resume))
    run_logger.log_system_metrics()
    run = TrackedRun(run_logger)

    def interrupt() -> None:
        try:
            run.on_stop(None)
        finally:
            run_logger.end("KILLED", reason="interrupted", within=_SECONDS_TO_SEND)

    with graceful_shutdown(interrupt):
        try:
            yield run
        except Exception as raised:
            error = explain_error(raised, store.secrets)
            is_explained = isinstance(error, PipelineError)
            reason = str(error) if is_explained else f"{type(error).__name__}: {error}"
            try:
                run.on_stop(error)
            finally:
                run_logger.end("FAILED", reason=reason)
            raise error from None
        run_logger.end("FINISHED")
