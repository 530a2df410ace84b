"""Which runs are alive: each holds a file lock for as long as its process lives.

The lock's path and the host are tags of the run, so that other processes can check it. Unlike a
process id, a lock is never reused, and it is visible from within a container.
"""

from __future__ import annotations

import contextlib
import platform
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from pipeline.file_locks import try_lock
from pipeline.tracking.paging import experiment_ids, iterate_pages

_HOST, _LOCK = "pipeline.host", "pipeline.lock"
_FILE = "lock"
DIED = "The process ended unexpectedly: it was killed, or the machine went down."


@dataclass(frozen=True)
class LivenessLock:
    """Shows that the process of a run is alive.

    Attributes:
        directory: contains the lock, and the files of the run that are not sent yet.
        file: the locked file, None on a system without file locks.
    """

    directory: Path
    file: IO[str] | None

    def tags(self) -> dict[str, str]:
        """Return the tags of the run by which other processes find the lock."""
        return {_HOST: platform.node(), _LOCK: str(self.directory / _FILE)}

    def touch(self) -> None:
        """Store the current time as the time when the run was last seen alive."""
        with contextlib.suppress(OSError):
            (self.directory / _FILE).touch()

    def release(self, *, move_to: Path | None = None) -> None:
        """Release the lock and remove its directory, or move the directory elsewhere.

        Raises:
            OSError: if the directory cannot be moved.
        """
        try:
            if move_to:
                move_to.parent.mkdir(parents=True, exist_ok=True)
                self.directory.rename(move_to)
                (move_to / _FILE).unlink()
            else:
                shutil.rmtree(self.directory, ignore_errors=True)
        finally:
            if self.file:
                self.file.close()


def acquire(parent: Path) -> LivenessLock:
    """Return a new lock, in a new directory below `parent`.

    Raises:
        OSError: if the directory cannot be made.
    """
    parent.mkdir(parents=True, exist_ok=True)
    directory = Path(tempfile.mkdtemp(dir=parent)).absolute()
    return LivenessLock(directory, try_lock(directory / _FILE))


def mark_dead_runs(client: Any) -> None:
    """Set runs that are RUNNING, but whose process is gone, to KILLED.

    Runs of other hosts, and those whose lock is not visible from here, are left alone.
    """
    experiments = experiment_ids(client)
    condition = f"attributes.status = 'RUNNING' AND tags.`{_HOST}` = '{platform.node()}'"
    running = iterate_pages(
        lambda token: client.search_runs(experiments, condition, page_token=token)
    )
    for run in list(running):  # all of them first, because a marked run is in no later page
        # Failures are left to the next command: the run has just ended, another command marks it,
        # or the store is read-only.
        with contextlib.suppress(Exception):
            _mark_dead_run(client, run.info.run_id, Path(run.data.tags[_LOCK]))


def _mark_dead_run(client: Any, run_id: str, path: Path) -> None:
    last_seen = path.stat().st_mtime
    lock = try_lock(path)
    if lock is None:
        return
    with lock:
        path.stat()  # still there: it did not end between the search and the lock
        client.set_tag(run_id, "reason", DIED)
        client.set_terminated(run_id, "KILLED", int(last_seen * 1000))
        shutil.rmtree(path.parent, ignore_errors=True)
