"""Ctrl-C and SIGTERM: the first signal lets a run save its state, the second exits at once."""

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
_SAME = 0.1  # seconds within which signals count as one
_GRACE = 0.9  # seconds for the main thread to react; native code can block it for minutes


def interrupt_on(*signals: int) -> None:
    """Let signals raise KeyboardInterrupt, as Ctrl-C does, unless they are ignored."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    for number in signals:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, interrupt)


@contextlib.contextmanager
def graceful_shutdown(save: Callable[[], None]) -> Iterator[None]:
    """Call `save` if the block is interrupted.

    The main thread calls it if it can. If native code blocks that thread for longer than a second,
    another thread calls it and ends the process. Enclosing blocks save too.

    Args:
        save: saves the state of the work, in about a second; called once.

    Raises:
        KeyboardInterrupt: after `save`.
    """
    once = threading.Lock()
    with _watched(lambda: once.acquire(blocking=False), save):
        try:
            yield
        except KeyboardInterrupt:
            if not once.acquire(blocking=False):
                threading.Event().wait()  # the other thread saves and ends the process
            save()
            raise


@contextlib.contextmanager
def exit_on_signal() -> Iterator[None]:
    """End the process at once on a signal in the block, while there is nothing to save yet.

    Some modules that are imported in the block would swallow a KeyboardInterrupt.
    """
    if _is_interactive():
        yield
        return

    stderr = os.dup(2)  # standard error may be suppressed during imports

    def leave(*_: object) -> None:
        os.write(stderr, b"Interrupted.\n")
        os._exit(EXIT_CODE)

    try:
        with _handled_by(leave):
            yield
    finally:
        os.close(stderr)


@contextlib.contextmanager
def only_main_thread_interrupted() -> Iterator[None]:
    """Let a signal in the block raise KeyboardInterrupt and do nothing else.

    Enclosing blocks of `graceful_shutdown` do not notice it, so that the interrupt may be caught.
    The block must not call native code that takes long.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.set_wakeup_fd(-1)
    try:
        yield
    finally:
        signal.set_wakeup_fd(before, warn_on_full_buffer=False)


@contextlib.contextmanager
def deferred_signals() -> Iterator[Callable[[], bool]]:
    """Defer the first signal in the block; a second one raises at once.

    Yields:
        A function that returns whether there was a signal.

    Raises:
        KeyboardInterrupt: at the end of the block, if there was a signal.
    """
    signalled = False

    def note(*_: object) -> None:
        nonlocal signalled
        if signalled:
            raise KeyboardInterrupt
        signalled = True

    with _handled_by(note):
        yield lambda: signalled
    if signalled:
        raise KeyboardInterrupt


@contextlib.contextmanager
def _handled_by(handler: Callable[..., None]) -> Iterator[None]:
    """Let `handler` handle the signals that are not ignored, in the main thread."""
    signals = _SIGNALS if threading.current_thread() is threading.main_thread() else ()
    handled = [number for number in signals if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, handler) for number in handled}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


@contextlib.contextmanager
def _watched(begin: Callable[[], bool], save: Callable[[], None]) -> Iterator[None]:
    """Watch for signals in another thread, which gets them while native code blocks this one."""
    if threading.current_thread() is not threading.main_thread() or _is_interactive():
        yield
        return
    end, signals = socket.socketpair()
    end.setblocking(False)

    def watch() -> None:
        if _heard(signals, None) is None:
            return
        time.sleep(_SAME)
        while _heard(signals, 0):  # a wrapper may forward the signal that the terminal sends too
            pass
        heard = _heard(signals, _GRACE)
        if heard is False and begin():
            save()
            if before < 0:
                print("Interrupted.", file=sys.stderr, flush=True)
                os._exit(EXIT_CODE)
            os.write(before, bytes([signal.SIGINT]))  # the enclosing block saves, and exits
        if heard is False:  # the main thread is saving
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


def _is_interactive() -> bool:
    """Return whether a person's session would end with the process, such as a notebook's."""
    return hasattr(sys, "ps1")


def _heard(signals: socket.socket, seconds: float | None) -> bool | None:
    """Return whether there was a signal within so many seconds; None if the block has ended."""
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
