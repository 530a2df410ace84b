"""Limits on the bodies of HTTP requests, which a server reads into memory."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class BodyLimit:
    """ASGI middleware that limits the bytes of one request, and of those in progress together.

    A request that is too large is answered with 413, one that finds the server busy with 503.
    """

    def __init__(self, app: ASGIApp, *, per_request: int, in_progress: int) -> None:
        self._app = app
        self._per_request, self._in_progress = per_request, in_progress
        self._bytes_in_progress = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = bytearray()
        try:
            declared = Headers(scope=scope).get("content-length", "")
            refusal = self._refusal(int(declared)) if declared.isdecimal() else None
            is_complete = False
            while not refusal and not is_complete:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return
                chunk = message.get("body", b"")
                self._bytes_in_progress += len(chunk)
                body += chunk
                is_complete = not message.get("more_body", False)
                refusal = self._refusal(len(body), is_counted=True)
            if refusal:
                await refusal(scope, receive, send)
                return
            await self._app(scope, _replay(bytes(body), receive), send)
        finally:
            self._bytes_in_progress -= len(body)

    def _refusal(self, size: int, *, is_counted: bool = False) -> PlainTextResponse | None:
        """Return the answer to a request that is refused."""
        if size > self._per_request:
            text = f"The request is larger than {self._per_request:,} bytes. Send fewer images."
            return PlainTextResponse(text, 413, {"Connection": "close"})
        if self._bytes_in_progress + (0 if is_counted else size) > self._in_progress:
            text = "The server is busy with large requests. Try again."
            return PlainTextResponse(text, 503, {"Connection": "close"})
        return None


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return a function that receives a body at once, and then what follows it."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return messages.pop() if messages else await receive()

    return replayed
