"""Who may call: holders of a key, or, where no keys are set, this machine alone."""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from typing import Final

from fastapi import Security
from fastapi.security import HTTPBearer
from pydantic import SecretStr
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from app.errors import ConfigurationError, ForbiddenOrigin, IngrainError, Unauthorized
from app.hosts import host_of, is_loopback
from app.problems import problem_response

_READING: Final = {"GET", "HEAD"}

documented_bearer = Security(HTTPBearer(auto_error=False, description="A key from INGRAIN_API_KEYS, where it is set."))
"""Puts the keys into OpenAPI. The check itself is `AccessControl`: it must come before a body is read."""


def check_exposure(host: str, keys: Sequence[SecretStr]) -> None:
    """Refuse to listen beyond this machine without keys.

    Raises:
        ConfigurationError: `host` is not a loopback address, and there are no keys.
    """
    if not keys and not is_loopback(host):
        raise ConfigurationError(
            f"Listening on {host} would let anyone who reaches it train and chat. Set INGRAIN_API_KEYS to one or more "
            "comma-separated secrets, or listen on 127.0.0.1."
        )


def check_engine_exposure(host: str, key: SecretStr | None) -> None:
    """Refuse to let an engine listen beyond this machine without a key: it loads adapters by their path.

    Raises:
        ConfigurationError: `host` is not a loopback address, and there is no key.
    """
    if not (key and key.get_secret_value()) and not is_loopback(host):
        raise ConfigurationError(
            f"An engine on {host} without a key would answer, and load adapters for, anyone who reaches it. Set "
            "INGRAIN_ENGINE_API_KEY to a secret here, for the API and for the workers, or listen on 127.0.0.1."
        )


class AccessControl:
    """Guards `/v1` and `/metrics` with keys; without keys, everything against the outside and against other pages."""

    def __init__(self, app: ASGIApp, keys: Sequence[SecretStr]) -> None:
        self.app = app
        self.digests = [_digest(key.get_secret_value()) for key in keys]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        error: IngrainError | None = None
        if scope["type"] == "http":
            error = self._check_key(scope) if self.digests else _check_local(scope)
        if error is None:
            await self.app(scope, receive, send)
            return
        response = problem_response(scope, error)
        if isinstance(error, Unauthorized) and "text/html" in Headers(scope=scope).get("accept", ""):
            # A line of its own: some browsers read only the first challenge of a line.
            response.headers.append("WWW-Authenticate", 'Basic realm="Ingrain", charset="UTF-8"')
        await response(scope, receive, send)

    def _check_key(self, scope: Scope) -> Unauthorized | None:
        path = scope["path"]
        if not (path.startswith("/v1/") or path in {"/v1", "/metrics"}):
            return None
        key = _key_of(scope)
        if not key:
            detail = "This call needs a key: send 'Authorization: Bearer KEY' with a key from INGRAIN_API_KEYS."
            return Unauthorized(detail, headers={"WWW-Authenticate": 'Bearer realm="ingrain"'})
        given = _digest(key)
        # Every key is compared, in constant time, so that the time tells nothing about them.
        if sum(hmac.compare_digest(given, known) for known in self.digests):
            return None
        detail = "The key is not one of INGRAIN_API_KEYS."
        return Unauthorized(detail, headers={"WWW-Authenticate": 'Bearer realm="ingrain", error="invalid_token"'})


def _key_of(scope: Scope) -> str:
    """The key that the request gives; empty where it gives none.

    A browser gives it as the password of HTTP Basic, to read. It sends that along whatever page makes it call, so Basic
    changes nothing: that takes a header which no page of others can set.
    """
    scheme, _, credentials = Headers(scope=scope).get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return credentials.strip()
    if scheme.lower() == "basic" and scope["method"] in _READING:
        return _password(credentials.strip())
    return ""


def _password(credentials: str) -> str:
    try:
        return base64.b64decode(credentials, validate=True).decode().partition(":")[2]
    except ValueError:
        return ""


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode(errors="surrogateescape")).digest()


def _check_local(scope: Scope) -> ForbiddenOrigin | None:
    """Host and Origin stop a web page that is open on this machine from calling the service behind its user's back."""
    headers = Headers(scope=scope)
    client = scope.get("client")
    origin = headers.get("origin")
    way_out = "To serve others, set INGRAIN_API_KEYS."
    if client and not is_loopback(client[0]):
        return ForbiddenOrigin(f"Without keys only this machine is served, not {client[0]}. {way_out}")
    if not is_loopback(host_of(f"//{headers.get('host', '')}")):
        return ForbiddenOrigin(f"The Host header must be 127.0.0.1 or localhost while no keys are set. {way_out}")
    if origin is not None and not is_loopback(host_of(origin)):
        return ForbiddenOrigin(f"Pages of {origin} may not call this service while no keys are set. {way_out}")
    return None
