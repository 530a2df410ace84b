"""Runs a command and ends it, with all its child processes, when standard input is closed.

    python -m pipeline.tracking.process_group COMMAND...

Standard input is a pipe from the process that wants the command. The system closes the pipe however
that process ends, also if it is killed.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence

_GRACE = 3.0  # seconds between SIGTERM and SIGKILL


def run_group(command: Sequence[str]) -> None:
    """Run a command in the process group that this process leads, and end the group afterwards."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: ended.set())

    def watch(wait: Callable[[], object]) -> None:
        wait()
        ended.set()

    for wait in (process.wait, sys.stdin.buffer.read):
        threading.Thread(target=watch, args=[wait], daemon=True).start()
    ended.wait()
    os.killpg(0, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_GRACE)
    os.killpg(0, signal.SIGKILL)  # this process too


if __name__ == "__main__":
    run_group(sys.argv[1:])
