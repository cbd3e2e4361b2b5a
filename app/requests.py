"""What every request gets: an id, a bound on its body, a line in the metrics, and an answer even when code fails."""

import asyncio
import logging
import re
import uuid
from collections.abc import Callable
from time import perf_counter
from typing import Final

from sqlalchemy.exc import OperationalError
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import DocumentTooLarge, IngrainError, NotReady, RequestTooLarge
from app.problems import problem_response

logger = logging.getLogger(__name__)

Observe = Callable[[str, str, int, float], None]
"""Called with a request's method, route, status and seconds."""

_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_METHODS: Final = {"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"}
MAX_BODY_BYTES: Final = 4 << 20
_FORM_OVERHEAD: Final = 64 << 10
_DRAIN_BYTES: Final = 256 << 20
_DRAIN_SECONDS: Final = 20.0


class RequestContext:
    """The outermost layer: `X-Request-ID` in and out, metrics, and the 500 for what nobody expected."""

    def __init__(self, app: ASGIApp, observe: Observe) -> None:
        self.app = app
        self.observe = observe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        began, status = perf_counter(), 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-ID"] = request_id
            await send(message)

        try:
            await self.app(scope, receive, send_with_id)
        except Exception as error:
            logger.exception("request %s failed: %s %s", request_id, scope["method"], scope["path"])
            if status:
                raise  # half an answer is out: only breaking the connection says that it is not whole
            await problem_response(scope, _blame(error, request_id))(scope, receive, send_with_id)
        finally:
            method = scope["method"] if scope["method"] in _METHODS else "other"
            self.observe(method, _route(scope), status, perf_counter() - began)


def _blame(error: Exception, request_id: str) -> IngrainError:
    """What to tell of an error that nobody expected: nothing of its text, which may hold anything."""
    log = f"The server's log has the cause under {request_id}."
    if isinstance(error, OperationalError):
        return NotReady(f"The database does not answer. Try again in a moment. {log}", headers={"Retry-After": "5"})
    return IngrainError(f"This is a fault of the server, not of the request. {log}")


def _route(scope: Scope) -> str:
    """The path with its parameters as names, so that metrics have a line a route and not a line a job."""
    if "route" not in scope:
        return "none"
    path: str = scope["path"]
    for name, value in scope["path_params"].items():
        if value:
            before, _, after = path.rpartition(value)
            path = f"{before}{{{name}}}{after}"
    return path


class BodyLimit:
    """Refuses bodies that are too large while they arrive, so that they are never held in memory.

    The rest of a refused body is read and thrown away: a client that still sends when the connection closes would see
    a broken connection instead of the reason.
    """

    def __init__(self, app: ASGIApp, max_document_bytes: int) -> None:
        self.app = app
        self.max_document_bytes = max_document_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limit, error = self._limit(scope["path"])
        headers = Headers(scope=scope)
        declared = headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > limit:
            if headers.get("expect", "").lower() != "100-continue":
                await _drain(receive)
            await problem_response(scope, error)(scope, receive, send)
            return
        received = 0

        async def limited() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                if message.get("more_body"):
                    await _drain(receive)
                raise error
            return message

        await self.app(scope, limited, send)

    def _limit(self, path: str) -> tuple[int, IngrainError]:
        if path != "/v1/documents":
            return MAX_BODY_BYTES, RequestTooLarge(f"The body may be at most {MAX_BODY_BYTES:,} bytes.")
        # JSON may write a character of two bytes as six: the text itself is measured once it is decoded.
        return 3 * self.max_document_bytes + _FORM_OVERHEAD, too_large(self.max_document_bytes)


def too_large(max_document_bytes: int) -> DocumentTooLarge:
    """The error for a document beyond the installation's limit."""
    return DocumentTooLarge(
        f"The document is larger than the {max_document_bytes:,} bytes that this installation takes "
        "(INGRAIN_MAX_DOCUMENT_BYTES). Split it, and make one adapter from the parts with POST /v1/adapters."
    )


async def _drain(receive: Receive) -> None:
    thrown_away = 0
    try:
        async with asyncio.timeout(_DRAIN_SECONDS):
            while thrown_away < _DRAIN_BYTES:
                message = await receive()
                thrown_away += len(message.get("body", b""))
                if message["type"] == "http.disconnect" or not message.get("more_body"):
                    return
    except TimeoutError:
        return
