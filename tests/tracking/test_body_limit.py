"""Limits on the bodies of HTTP requests."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from starlette.types import Message, Receive, Scope, Send

from pipeline.tracking.body_limit import BodyLimit


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the body of the request, after other requests had their turn."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    await asyncio.sleep(0.01)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


async def request(
    app: BodyLimit, chunks: Sequence[bytes], declared: str = ""
) -> tuple[int, bytes, int]:
    """Send chunks; return the status, the body of the answer and how many chunks were read."""
    waiting = list(chunks)
    sent: list[Message] = []

    async def receive() -> Message:
        body = waiting.pop(0)
        return {"type": "http.request", "body": body, "more_body": bool(waiting)}

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [(b"content-length", declared.encode())] if declared else []
    await app({"type": "http", "headers": headers}, receive, send)
    status, body = sent[0]["status"], b"".join(message.get("body", b"") for message in sent)
    return status, body, len(chunks) - len(waiting)


def test_a_body_within_the_limit_arrives_whole() -> None:
    app = BodyLimit(echo, per_request=10, in_progress=20)
    assert asyncio.run(request(app, [b"12345", b"", b"67890"], "10")) == (200, b"1234567890", 3)


def test_a_body_that_declares_too_much_is_refused_before_it_is_read() -> None:
    app = BodyLimit(echo, per_request=10, in_progress=20)
    refused = (413, b"The request is larger than 10 bytes. Send fewer images.", 0)
    assert asyncio.run(request(app, [b"12345678901"], "11")) == refused


def test_a_body_that_declares_nothing_is_refused_where_it_exceeds_the_limit() -> None:
    app = BodyLimit(echo, per_request=10, in_progress=20)
    status, _, read = asyncio.run(request(app, [b"12345678", b"901", b"234", b"567"]))
    assert (status, read) == (413, 2)


def test_requests_in_progress_are_limited_together_and_leave_room_when_they_end() -> None:
    app = BodyLimit(echo, per_request=10, in_progress=20)

    async def several() -> list[int]:
        together = await asyncio.gather(*(request(app, [b"1234567890"], "10") for _ in range(3)))
        later = await request(app, [b"1234567890"], "10")
        return [status for status, _, _ in (*together, later)]

    assert asyncio.run(several()) == [200, 200, 503, 200]


def test_other_protocols_pass() -> None:
    seen = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["type"])

    async def nothing() -> Message:
        raise AssertionError

    async def send(message: Message) -> None:
        raise AssertionError

    asyncio.run(BodyLimit(app, per_request=1, in_progress=1)({"type": "lifespan"}, nothing, send))
    assert seen == ["lifespan"]
