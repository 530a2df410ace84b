"""Reads contents ahead in a thread, no more of them than memory is given."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

Name = TypeVar("Name")

_MAX_BYTES = 2**28
_MAX_CONTENTS = 1024


@dataclass(frozen=True)
class ReadContent(Generic[Name]):
    """A content that was read ahead.

    Attributes:
        name: what it was read of.
        take: returns the content, and makes room for another one; it is called once.
    """

    name: Name
    take: Callable[[], bytes]


def read_ahead(
    contents: Iterator[tuple[Name, bytes]], *, max_bytes: int = _MAX_BYTES
) -> Iterator[ReadContent[Name]]:
    """Yield contents in their order, while a thread reads the next ones.

    Args:
        contents: names and contents. It is used in the thread alone.
        max_bytes: of contents that were read and not taken, beside one more.

    Raises:
        Exception: what `contents` raises, after those before it were yielded.
    """
    reader = _Reader(contents, max_bytes)
    thread = threading.Thread(target=reader.read, name="read-ahead", daemon=True)
    thread.start()
    try:
        yield from reader.results()
    finally:
        reader.stop()


class _Reader(Generic[Name]):
    def __init__(self, contents: Iterator[tuple[Name, bytes]], max_bytes: int) -> None:
        self._contents = contents
        self._max_bytes = max_bytes
        self._changed = threading.Condition()
        self._ready: deque[ReadContent[Name]] = deque()
        self._bytes = 0
        self._has_ended = self._is_stopped = False
        self._error: BaseException | None = None

    def read(self) -> None:
        try:
            for name, content in self._contents:
                if not self._add(name, content):
                    return
        except BaseException as error:
            self._error = error
        finally:
            with self._changed:
                self._has_ended = True
                self._changed.notify_all()

    def results(self) -> Iterator[ReadContent[Name]]:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._ready or self._has_ended)
                if not self._ready:
                    break
                found = self._ready.popleft()
                self._changed.notify_all()
            yield found
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        with self._changed:
            self._is_stopped = True
            self._changed.notify_all()

    def _add(self, name: Name, content: bytes) -> bool:
        """Add a content as soon as there is room; return False if nothing more is wanted."""
        held = [content]

        def take() -> bytes:
            with self._changed:
                self._bytes -= len(held[0])
                self._changed.notify_all()
            return held.pop()

        def has_room() -> bool:
            is_small = self._bytes + len(content) <= self._max_bytes or not self._bytes
            return self._is_stopped or (is_small and len(self._ready) < _MAX_CONTENTS)

        with self._changed:
            self._changed.wait_for(has_room)
            if not self._is_stopped:
                self._bytes += len(content)
                self._ready.append(ReadContent(name, take))
                self._changed.notify_all()
            return not self._is_stopped
