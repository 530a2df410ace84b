"""Contents that are read ahead in a thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from pipeline.inference.read_ahead import read_ahead


def test_contents_come_in_their_order_with_their_names() -> None:
    contents = ((number, bytes([number])) for number in range(200))
    found = [(read.name, read.take()) for read in read_ahead(contents, max_bytes=10)]
    assert found == [(number, bytes([number])) for number in range(200)]


def test_no_more_is_read_than_memory_is_given() -> None:
    reading = threading.Semaphore(0)
    started: list[int] = []

    def contents() -> Iterator[tuple[int, bytes]]:
        for number in range(10):
            started.append(number)
            reading.release()
            yield number, bytes(100)

    results = read_ahead(contents(), max_bytes=250)
    first, second = next(results), next(results)
    for _ in range(3):  # the third one waits until there is room
        assert reading.acquire(timeout=10)
    assert not reading.acquire(timeout=0.05)
    assert started == [0, 1, 2]
    first.take()
    assert reading.acquire(timeout=10)
    second.take()
    assert [read.take() for read in results] == [bytes(100)] * 8


def test_a_content_that_is_larger_than_the_limit_is_read() -> None:
    results = read_ahead(iter([("large", bytes(100)), ("small", b"1")]), max_bytes=10)
    assert [len(read.take()) for read in results] == [100, 1]


def test_an_error_is_raised_after_what_was_read_before_it() -> None:
    def contents() -> Iterator[tuple[int, bytes]]:
        yield 1, b"1"
        raise OSError("the disk is gone")

    results = read_ahead(contents())
    assert next(results).take() == b"1"
    with pytest.raises(OSError, match="the disk is gone"):
        next(results)


def test_the_thread_ends_when_no_more_is_wanted() -> None:
    ended = threading.Event()

    def contents() -> Iterator[tuple[int, bytes]]:
        try:
            for number in range(10):
                yield number, bytes(100)
        finally:
            ended.set()

    results = read_ahead(contents(), max_bytes=150)
    next(results)
    results.close()  # type: ignore[attr-defined]
    assert ended.wait(10)
