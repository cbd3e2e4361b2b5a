"""Errors of the engine's dialect: a status and a type as vLLM gives them, and a text that names cause and way out."""

from collections.abc import Mapping


class EngineError(Exception):
    """What the server answers as `{"error": {"message", "type", "param", "code"}}`."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        kind: str = "BadRequestError",
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.kind = kind
        self.param = param
        self.headers = dict(headers or {})

    @property
    def body(self) -> dict[str, dict[str, str | int | None]]:
        """The JSON body."""
        return {"error": {"message": self.message, "type": self.kind, "param": self.param, "code": self.status}}


def not_found(message: str, param: str | None = None) -> EngineError:
    """A model, adapter or folder that does not exist."""
    return EngineError(message, status=404, kind="NotFoundError", param=param)


def overloaded(message: str) -> EngineError:
    """The queue is full; the same request may succeed in a moment."""
    return EngineError(message, status=429, kind="TooManyRequestsError", headers={"Retry-After": "1"})


def asleep() -> EngineError:
    """The engine sleeps, or is about to."""
    return EngineError(
        "The engine sleeps: a worker trains with its memory. Ask again later, or wake it (POST /wake_up).",
        status=503,
        kind="EngineAsleep",
        headers={"Retry-After": "30"},
    )


def unavailable(message: str) -> EngineError:
    """The engine stops, or failed in the middle of the request."""
    return EngineError(message, status=503, kind="ServiceUnavailableError", headers={"Retry-After": "2"})
