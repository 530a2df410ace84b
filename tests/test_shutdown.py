"""What a signal does, in a process of its own: in order, at once, and where native code is busy."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Sequence

import pytest

# Native code, for minutes; a thread tells when it is at it.
BUSY = """threading.Timer(0.3, lambda: print('busy', flush=True)).start()
        hashlib.pbkdf2_hmac('sha256', b'', b'', 2**31 - 1)"""
PATIENT = "time.sleep(60)"
SAVE = "print('saved')"


def script(*, work: str, leave: str) -> str:
    return f"""
import hashlib, signal, sys, threading, time
from pipeline.interruption import after_this_step, orderly

def interrupt(*_):
    raise KeyboardInterrupt

def leave():
    {leave}
    sys.stdout.flush()

signal.signal(signal.SIGTERM, interrupt)
try:
    with orderly(leave):
        print('ready', flush=True)
        {work}
except KeyboardInterrupt:
    print('in order')
    sys.exit(130)
print('done')
"""


@pytest.fixture
def signalled() -> Callable[..., tuple[int, list[str]]]:
    def run(code: str, signals: Sequence[tuple[str, int]]) -> tuple[int, list[str]]:
        """Send a signal after each line that is waited for; return exit code and lines."""
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        assert process.stdout
        lines = []
        for awaited, number in signals:
            while not lines or lines[-1] != awaited:
                lines.append(process.stdout.readline().strip())
            process.send_signal(number)
        rest, _ = process.communicate(timeout=30)
        return process.returncode, [*lines, *rest.split("\n")[:-1]]

    return run


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_saves_and_ends_in_order(signalled: Callable, number: int) -> None:
    code = script(work=PATIENT, leave=SAVE)
    assert signalled(code, [("ready", number)]) == (130, ["ready", "saved", "in order"])


def test_where_native_code_is_busy_another_thread_saves_and_ends_the_process(
    signalled: Callable,
) -> None:
    code = script(work=BUSY, leave=SAVE)
    assert signalled(code, [("busy", signal.SIGINT)]) == (130, ["ready", "busy", "saved"])


def test_the_second_signal_ends_the_process_at_once(signalled: Callable) -> None:
    code = script(
        work=PATIENT,
        leave="print('saving', flush=True); time.sleep(0.3); "
        "print('again', flush=True); time.sleep(60)",
    )
    ended = signalled(code, [("ready", signal.SIGINT), ("again", signal.SIGINT)])
    assert ended == (130, ["ready", "saving", "again"])


def test_a_step_is_finished_first(signalled: Callable) -> None:
    work = """with after_this_step() as is_asked_for:
            print('step begun', flush=True)
            while not is_asked_for():
                time.sleep(0.05)
            print('step finished')"""
    ended = signalled(script(work=work, leave=SAVE), [("step begun", signal.SIGINT)])
    lines = ["ready", "step begun", "step finished", "saved", "in order"]
    assert ended == (130, lines)


def test_what_ends_by_itself_is_not_interrupted(signalled: Callable) -> None:
    assert signalled(script(work="pass", leave=SAVE), []) == (0, ["ready", "done"])


SWALLOWED = """
import contextlib, time
from pipeline.interruption import at_once

with at_once():
    with contextlib.suppress(BaseException):  # as modules do that try what they may import
        print('ready', flush=True)
        time.sleep(60)
print('done')
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_modules_are_imported_is_not_lost(signalled: Callable, number: int) -> None:
    assert signalled(SWALLOWED, [("ready", number)]) == (130, ["ready"])
