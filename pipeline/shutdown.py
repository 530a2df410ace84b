"""Ctrl-C and SIGTERM: the first ends a run in order and soon, the second ends it at once."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator

EXIT_CODE = 130

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_SAME = 0.1  # seconds in which signals count as one
_GRACE = 0.9  # seconds that the main thread has to notice; native code can keep it for minutes


@contextlib.contextmanager
def graceful_shutdown(leave: Callable[[], None]) -> Iterator[None]:
    """Call `leave` when what is in here is interrupted.

    The main thread calls it where it can. Where native code keeps that thread for longer than a
    second, another thread calls it and ends the process.

    Args:
        leave: saves what is to be saved, in well under a second; called once.

    Raises:
        KeyboardInterrupt: after `leave`.
    """
    once = threading.Lock()
    with _watched(lambda: once.acquire(blocking=False), leave):
        try:
            yield
        except KeyboardInterrupt:
            if not once.acquire(blocking=False):
                threading.Event().wait()  # the other thread is leaving, and ends the process
            leave()
            raise


@contextlib.contextmanager
def exit_on_signal() -> Iterator[None]:
    """End the process where a signal comes in here: nothing is there to be saved yet.

    A KeyboardInterrupt would be lost in some of the modules that are imported in here.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    stderr = os.dup(2)  # what is imported may be silenced

    def leave(*_: object) -> None:
        os.write(stderr, b"Interrupted.\n")
        os._exit(EXIT_CODE)

    try:
        with _handled_by(leave):
            yield
    finally:
        os.close(stderr)


@contextlib.contextmanager
def deferred_signals() -> Iterator[Callable[[], bool]]:
    """Let a signal wait in here until it is asked for; a second one does not wait.

    Yields:
        A function that tells whether there was a signal.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    asked = False

    def note(*_: object) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True

    with _handled_by(note):
        yield lambda: asked
    if asked:  # after the last time that it was asked for
        raise KeyboardInterrupt


@contextlib.contextmanager
def _handled_by(handler: Callable[..., None]) -> Iterator[None]:
    """Have the signals that are not ignored handled by something else in here."""
    heeded = [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, handler) for number in heeded}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


@contextlib.contextmanager
def _watched(begin: Callable[[], bool], leave: Callable[[], None]) -> Iterator[None]:
    """Watch signals in another thread, which has them while native code keeps the main one."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    end, signals = socket.socketpair()
    end.setblocking(False)

    def watch() -> None:
        if _heard(signals, None) is None:
            return
        time.sleep(_SAME)
        while _heard(signals, 0):  # what a wrapper forwards beside the terminal is no second one
            pass
        heard = _heard(signals, _GRACE)
        if heard is False and begin():
            leave()
            print("Interrupted.", file=sys.stderr, flush=True)
            os._exit(EXIT_CODE)
        if heard is False:  # the main thread is leaving
            heard = _heard(signals, None)
        if heard:
            os._exit(EXIT_CODE)

    watcher = threading.Thread(target=watch, daemon=True, name="signals")
    before = signal.set_wakeup_fd(end.fileno(), warn_on_full_buffer=False)
    watcher.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        end.close()
        watcher.join()
        signals.close()


def _heard(signals: socket.socket, seconds: float | None) -> bool | None:
    """Return whether a signal came within so many seconds; None if none can come any more."""
    signals.settimeout(seconds)
    while True:
        try:
            received = signals.recv(1)
        except (TimeoutError, BlockingIOError):
            return False
        if not received:
            return None
        if received[0] in _SIGNALS:
            return True
