"""Which runs are alive: each holds a lock for as long as its process lives.

The lock's place and the host are tags of the run, so that whoever sees the run can ask. Unlike the
number of a process, a lock is not given to another one, and is seen from within a container.
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

_HOST, _LOCK = "pipeline.host", "pipeline.lock"
_FILE = "lock"
GONE = "its process ended without a word: it was killed, or the machine went down"


@dataclass(frozen=True)
class Liveness:
    """The sign that the process of a run lives.

    Attributes:
        folder: the run's own while it lives, for what it has not sent yet.
        lock: what is held.
    """

    folder: Path
    lock: IO[str] | None

    def tags(self) -> dict[str, str]:
        """Return the tags that lead to this sign."""
        return {_HOST: platform.node(), _LOCK: str(self.folder / _FILE)}

    def show(self) -> None:
        """Leave the time at which the run was alive for certain."""
        with contextlib.suppress(OSError):
            (self.folder / _FILE).touch()

    def end(self, *, keep_as: Path | None = None) -> None:
        """Take the sign away, and the folder too or, with what is in it, elsewhere.

        Raises:
            OSError: if the folder cannot be moved there.
        """
        try:
            if keep_as:
                keep_as.parent.mkdir(parents=True, exist_ok=True)
                self.folder.rename(keep_as)
                (keep_as / _FILE).unlink()
            else:
                shutil.rmtree(self.folder, ignore_errors=True)
        finally:
            if self.lock:
                self.lock.close()


def begin(parent: Path) -> Liveness:
    """Begin to be present, in a new folder below `parent`.

    Raises:
        OSError: if it cannot be made.
    """
    parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=parent)).absolute()
    return Liveness(folder, try_lock(folder / _FILE))


def mark_dead_runs(client: Any) -> None:
    """Give the runs that stand there as RUNNING, and whose process is gone, the state KILLED.

    Runs of other hosts, and those whose lock is out of sight, are left alone.
    """
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    unfinished = client.search_runs(
        experiments,
        f"attributes.status = 'RUNNING' AND tags.`{_HOST}` = '{platform.node()}'",
    )
    for run in unfinished:
        # What does not work is left to another command: the run has just ended, another command
        # settles it, or the store can only be read.
        with contextlib.suppress(Exception):
            _mark_dead_run(client, run.info.run_id, Path(run.data.tags[_LOCK]))


def _mark_dead_run(client: Any, run_id: str, path: Path) -> None:
    last_seen = path.stat().st_mtime
    lock = try_lock(path)
    if lock is None:
        return
    with lock:
        path.stat()  # still there: it did not end between the search and the lock
        client.set_tag(run_id, "reason", GONE)
        client.set_terminated(run_id, "KILLED", int(last_seen * 1000))
        shutil.rmtree(path.parent, ignore_errors=True)
