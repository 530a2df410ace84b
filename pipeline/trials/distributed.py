"""One search on several machines: the chief hands out trials, workers connect and run them.

Both sides prove over `multiprocessing.connection` that they have the same key. What they send is
JSON and not encrypted.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import time
from collections.abc import Iterator
from multiprocessing import AuthenticationError
from multiprocessing.connection import (
    Client,
    Connection,
    Listener,
    answer_challenge,
    deliver_challenge,
)
from pathlib import PurePath

from pipeline.errors import DataError, PipelineError, UsageError
from pipeline.recipe.loader import LoadedRecipe, flatten, masked_values
from pipeline.recipe.recipe_changes import recipe_changes
from pipeline.trials.search_session import MAY_CHANGE
from pipeline.trials.search_state import Search
from pipeline.trials.trial_reporter import TrialReporter
from pipeline.trials.trial_trainer import TrialTrainer
from pipeline.trials.trial_worker import receive, run_trials, send
from pipeline.trials.worker_pool import PoolWorker, WorkerQueue, run_in_pool
from pipeline.tuning.worker_role import WorkerRole

logger = logging.getLogger(__name__)


_CONNECT_SECONDS = 60.0  # that a worker waits for the chief to listen
_RETRY_SECONDS = 0.5
# The keys of the recipe that may differ between machines; images are compared by their digest.
_MAY_DIFFER = (*MAY_CHANGE, "name", "runtime", "data.path")
# After 25 seconds without an answer, the system reports a connection as lost.
_KEEP_ALIVE = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_USER_TIMEOUT": 25_000}


def run_as_chief(
    search: Search, loaded: LoadedRecipe, reporter: TrialReporter, role: WorkerRole, *, images: str
) -> None:
    """Hand out the trials of a search to workers on any machine until it ends.

    Args:
        search: the search.
        loaded: its recipe.
        reporter: is told of finished trials.
        role: of this process.
        images: digest of the images, which has to be the same on every worker.

    Raises:
        PipelineError: if the address cannot be used.
        KeyboardInterrupt: if it is interrupted; running trials are run again when it resumes.
    """
    with _joining_workers(role, {"images": images, "recipe": _comparable(loaded)}) as joining:
        logger.info(
            f"Waiting for workers at {role.chief}. Start one on each machine. "
            "Set the same variables as here, but KERASTUNER_TUNER_ID to a unique name, and run "
            "the same command."
        )
        run_in_pool(search, reporter, joining)


def work_for_chief(loaded: LoadedRecipe, role: WorkerRole) -> int:
    """Run trials for a chief until the search ends; return how many.

    Raises:
        UsageError: if the key or the recipe is not the chief's.
        DataError: if the images are not the chief's.
        PipelineError: if the chief does not answer.
    """
    trainer, count = TrialTrainer(), 0
    images = trainer.splits(loaded.recipe).digest
    with _connection_to_chief(role) as connection:
        try:
            search = receive(connection)
            changes = recipe_changes(search["recipe"], _comparable(loaded), ignored=_MAY_DIFFER)
            if changes:
                raise UsageError(
                    "\n  ".join(["This recipe differs from the chief's:", *changes])
                    + f"\nUse the recipe of the chief at {role.chief}."
                )
            if search["images"] != images:
                raise DataError(
                    "The images differ from the chief's, so trials cannot be compared. Copy the "
                    f"images of the chief at {role.chief} to this machine."
                )
            send(connection, "worker", name=role.name)
            logger.info(f"{role.name} runs trials for the chief at {role.chief}")
            for number, outcome in run_trials(connection, loaded, trainer):
                count += 1
                score = outcome.reason if outcome.score is None else f"{outcome.score:.4f}"
                logger.info(f"Trial {number}  {score}")
        except (EOFError, OSError):
            raise PipelineError(
                f"The connection to the chief at {role.chief} was lost. When the chief runs again, "
                "start this worker again."
            ) from None
    return count


def _comparable(loaded: LoadedRecipe) -> dict[str, str]:
    """Return a recipe by dotted path; files may lie in another directory on each machine."""
    values = flatten(masked_values(loaded.recipe, loaded.secrets))
    return {
        path: PurePath(value).name if PurePath(value).is_absolute() else value
        for path, value in values.items()
    }


@contextlib.contextmanager
def _joining_workers(role: WorkerRole, search: dict[str, object]) -> Iterator[WorkerQueue]:
    """Accept workers for as long as this lasts, and yield a queue of those that may join."""
    joining = WorkerQueue()
    closing = threading.Event()
    try:
        listener = Listener(role.address)
    except OSError as error:
        raise PipelineError(f"The chief cannot listen at {role.chief}: {error}.") from None

    def accept() -> None:
        while not closing.is_set():
            try:
                connection = listener.accept()
            except OSError:
                time.sleep(_RETRY_SECONDS)
                continue
            if closing.is_set():
                connection.close()
            else:
                threading.Thread(target=admit, args=(connection,), daemon=True).start()

    def admit(connection: Connection) -> None:
        try:
            deliver_challenge(connection, role.key)
            answer_challenge(connection, role.key)
            send(connection, "search", **search)
            name = str(receive(connection)["name"])
        except AuthenticationError:
            logger.warning("A worker was refused. Its PIPELINE_SEARCH_KEY is not the chief's.")
        except (EOFError, OSError, ValueError, KeyError):
            logger.warning("A worker disconnected before it could run trials.")
        else:
            _keep_alive(connection)
            logger.info(f"Worker {name} has joined")
            joining.put(PoolWorker(name, connection))
            return
        connection.close()

    thread = threading.Thread(target=accept, daemon=True, name="accept workers")
    thread.start()
    try:
        yield joining
    finally:
        closing.set()
        with contextlib.suppress(OSError):
            Client(role.address).close()  # wakes `accept`, which has no timeout
        thread.join(_RETRY_SECONDS)
        listener.close()


def _connection_to_chief(role: WorkerRole) -> Connection:
    """Connect to the chief, and wait for it if it does not listen yet."""
    deadline = time.monotonic() + _CONNECT_SECONDS
    while True:
        try:
            connection = Client(role.address, authkey=role.key)
        except AuthenticationError:
            raise UsageError(
                f"The chief at {role.chief} has another PIPELINE_SEARCH_KEY. Set the same one on "
                "every machine."
            ) from None
        except (EOFError, OSError) as error:
            if time.monotonic() > deadline:
                raise PipelineError(
                    f"The chief at {role.chief} does not answer: {error}. Start it first."
                ) from None
            time.sleep(_RETRY_SECONDS)
        else:
            _keep_alive(connection)
            return connection


def _keep_alive(connection: Connection) -> None:
    with socket.fromfd(connection.fileno(), socket.AF_INET, socket.SOCK_STREAM) as same:
        same.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _KEEP_ALIVE.items():
            if hasattr(socket, name):  # not on every system
                same.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
