"""What a signal does to a process, also while native code is busy."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Sequence

import pytest

from pipeline.shutdown import graceful_shutdown, interrupt_on, only_main_thread_interrupted

# Native code for minutes; a thread prints when it is running.
BUSY = """threading.Timer(0.3, lambda: print('busy', flush=True)).start()
        hashlib.pbkdf2_hmac('sha256', b'', b'', 2**31 - 1)"""
PATIENT = "time.sleep(60)"
SAVE = "print('saved')"


def script(*, work: str, save: str) -> str:
    return f"""
import hashlib, signal, sys, threading, time
from pipeline.shutdown import deferred_signals, graceful_shutdown, interrupt_on

def save():
    {save}
    sys.stdout.flush()

interrupt_on(signal.SIGTERM)
try:
    with graceful_shutdown(save):
        print('ready', flush=True)
        {work}
except KeyboardInterrupt:
    print('interrupted')
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
        lines: list[str] = []
        for awaited, number in signals:
            while not lines or lines[-1] != awaited:
                line = process.stdout.readline()
                assert line, process.communicate()
                lines.append(line.strip())
            process.send_signal(number)
        rest, _ = process.communicate(timeout=30)
        return process.returncode, [*lines, *rest.split("\n")[:-1]]

    return run


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_saves_and_interrupts(signalled: Callable, number: int) -> None:
    code = script(work=PATIENT, save=SAVE)
    assert signalled(code, [("ready", number)]) == (130, ["ready", "saved", "interrupted"])


def test_while_native_code_is_busy_another_thread_saves_and_exits(
    signalled: Callable,
) -> None:
    code = script(work=BUSY, save=SAVE)
    assert signalled(code, [("busy", signal.SIGINT)]) == (130, ["ready", "busy", "saved"])


def test_enclosing_blocks_save_too_while_native_code_is_busy(signalled: Callable) -> None:
    work = f"""with graceful_shutdown(lambda: print('saved first')):
            {BUSY.replace(chr(10), chr(10) + 4 * " ")}"""
    code = script(work=work, save=SAVE)
    lines = ["ready", "busy", "saved first", "saved"]
    assert signalled(code, [("busy", signal.SIGINT)]) == (130, lines)


def test_the_second_signal_exits_at_once(signalled: Callable) -> None:
    code = script(
        work=PATIENT,
        save="print('saving', flush=True); time.sleep(0.3); "
        "print('again', flush=True); time.sleep(60)",
    )
    ended = signalled(code, [("ready", signal.SIGINT), ("again", signal.SIGINT)])
    assert ended == (130, ["ready", "saving", "again"])


def test_a_deferred_signal_lets_a_step_finish(signalled: Callable) -> None:
    work = """with deferred_signals() as was_signalled:
            print('step begun', flush=True)
            while not was_signalled():
                time.sleep(0.05)
            print('step finished')"""
    ended = signalled(script(work=work, save=SAVE), [("step begun", signal.SIGINT)])
    lines = ["ready", "step begun", "step finished", "saved", "interrupted"]
    assert ended == (130, lines)


def test_work_that_ends_by_itself_is_not_interrupted(signalled: Callable) -> None:
    assert signalled(script(work="pass", save=SAVE), []) == (0, ["ready", "done"])


SWALLOWED = """
import contextlib, time
from pipeline.shutdown import exit_on_signal

with exit_on_signal():
    with contextlib.suppress(BaseException):  # as some modules do when they are imported
        print('ready', flush=True)
        time.sleep(60)
print('done')
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_modules_are_imported_is_not_lost(signalled: Callable, number: int) -> None:
    assert signalled(SWALLOWED, [("ready", number)]) == (130, ["ready"])


def test_an_ignored_signal_stays_ignored() -> None:
    before = signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    try:
        interrupt_on(signal.SIGUSR1)
        assert signal.getsignal(signal.SIGUSR1) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGUSR1, before)


def wakeup_fd() -> int:
    """Return the file that signals are written to for the threads that watch for them."""
    number = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(number, warn_on_full_buffer=False)
    return number


def test_enclosing_blocks_do_not_notice_an_interrupt_that_may_be_caught() -> None:
    with graceful_shutdown(lambda: None):
        watched = wakeup_fd()
        with only_main_thread_interrupted():
            assert wakeup_fd() == -1
        assert wakeup_fd() == watched != -1
