"""One tree of errors. Each knows its HTTP status and its stable `type`, and says what, why and the way out.

IngrainError
├── InvalidRequest (400)          malformed JSON or multipart, or a chat field that is wrong or not supported
├── InvalidInput (422)            a field is wrong
│   ├── InvalidDocument           empty, binary, not UTF-8, one word …
│   └── InvalidSettings           an unknown setting, or one out of range
├── DocumentTooLarge (413)
├── RequestTooLarge (413)         any other body that is larger than what is read
├── UnsupportedMediaType (415)
├── Unauthorized (401)
├── ForbiddenOrigin (403)         without keys: not a loopback client, Host or Origin
├── NotFound (404)                a document, job, adapter, alias or report that does not exist
│   └── UnknownModel              a chat's model is neither adapter, alias nor base model
├── Conflict (409)
│   ├── AdapterNotReady           its job has not finished (or has failed)
│   ├── WrongBaseModel            it was made for another base model than the one that is served
│   ├── JobNotActive              cancel of a job that has ended
│   ├── JobNotRetryable           retry of a job that runs or has succeeded
│   └── IdempotencyConflict       the same key with another request
├── BadEngineRequest (400)        the engine refused the request: context too long, unsupported parameter …
├── EngineBusy (429)              the engine's queue is full
├── EngineUnavailable (503)       the engine does not answer
│   └── EngineAsleep              it sleeps while a worker trains with its memory
├── NotReady (503)                the service lacks a part that it needs: database, broker, store or engine
├── ConfigurationError (500)      the installation cannot start as it is configured
└── StageError (500)              a stage could not do its work; kept as the job's error
"""

from collections.abc import Mapping
from typing import Any, ClassVar


class IngrainError(Exception):
    """Root of all errors that Ingrain raises on purpose.

    Attributes:
        status: the HTTP status it becomes.
        type: its stable name, the last part of the problem's `type` URI.
        title: what kind of problem it is, the same for every instance.
        field: the request's field that is wrong, as a dotted path, where there is one.
        extra: further members of the problem document, for example the job that an adapter waits for.
        headers: response headers, for example `Retry-After`.
    """

    status: ClassVar[int] = 500
    type: ClassVar[str] = "internal"
    title: ClassVar[str] = "Something went wrong on the server"

    def __init__(
        self,
        detail: str,
        *,
        field: str | None = None,
        extra: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.field = field
        self.extra = dict(extra or {})
        self.headers = dict(headers or {})


class InvalidRequest(IngrainError):
    """The request cannot be read, or asks for something that is not done."""

    status = 400
    type = "invalid-request"
    title = "The request cannot be used"


class InvalidInput(IngrainError):
    """A field of the request is wrong."""

    status = 422
    type = "invalid-input"
    title = "The request is not valid"


class InvalidDocument(InvalidInput):
    """The document cannot be taught as it is."""

    type = "invalid-document"
    title = "The document cannot be used"


class InvalidSettings(InvalidInput):
    """A setting is unknown, out of range, or cannot be served."""

    type = "invalid-settings"
    title = "The settings cannot be used"


class DocumentTooLarge(IngrainError):
    """The document is larger than this installation takes."""

    status = 413
    type = "document-too-large"
    title = "The document is too large"


class RequestTooLarge(IngrainError):
    """The body is larger than any that this call reads."""

    status = 413
    type = "request-too-large"
    title = "The request is too large"


class UnsupportedMediaType(IngrainError):
    """The request's body is of a kind that is not read."""

    status = 415
    type = "unsupported-media-type"
    title = "The media type is not supported"


class Unauthorized(IngrainError):
    """No key, or a wrong one."""

    status = 401
    type = "unauthorized"
    title = "A valid API key is needed"


class ForbiddenOrigin(IngrainError):
    """Without keys only this machine is served, and only pages that this machine serves."""

    status = 403
    type = "forbidden-origin"
    title = "Only requests from this machine are served"


class NotFound(IngrainError):
    """What was asked for does not exist."""

    status = 404
    type = "not-found"
    title = "Not found"


class UnknownModel(NotFound):
    """The model of a chat is neither an adapter, an alias nor the base model."""

    type = "unknown-model"
    title = "The model does not exist"


class Conflict(IngrainError):
    """The request does not fit the state of the thing it is about."""

    status = 409
    type = "conflict"
    title = "The request conflicts with the current state"


class AdapterNotReady(Conflict):
    """The adapter cannot answer yet, or never will."""

    type = "adapter-not-ready"
    title = "The adapter is not ready"


class WrongBaseModel(Conflict):
    """The adapter was made for another base model: on this one it would answer nonsense, and look right."""

    type = "wrong-base-model"
    title = "The adapter belongs to another base model"


class JobNotActive(Conflict):
    """The job has already ended."""

    type = "job-not-active"
    title = "The job has already ended"


class JobNotRetryable(Conflict):
    """The job cannot be retried: it runs, waits, or has succeeded."""

    type = "job-not-retryable"
    title = "The job cannot be retried"


class IdempotencyConflict(Conflict):
    """The same Idempotency-Key came with another request."""

    type = "idempotency-conflict"
    title = "The Idempotency-Key was used for another request"


class BadEngineRequest(IngrainError):
    """The engine refused the request."""

    status = 400
    type = "bad-engine-request"
    title = "The engine refused the request"


class EngineBusy(IngrainError):
    """The engine's queue is full; the same request may succeed later."""

    status = 429
    type = "engine-busy"
    title = "The engine is busy"


class EngineUnavailable(IngrainError):
    """The engine does not answer."""

    status = 503
    type = "engine-unavailable"
    title = "The engine is not available"


class EngineAsleep(EngineUnavailable):
    """The engine sleeps while a worker trains with its memory; it wakes by itself."""

    type = "engine-asleep"
    title = "The engine sleeps"


class NotReady(IngrainError):
    """The service runs, but a part that it needs does not answer."""

    status = 503
    type = "not-ready"
    title = "The service is not ready"


class ConfigurationError(IngrainError):
    """The installation cannot start as it is configured."""

    type = "configuration"
    title = "The configuration is not valid"


class StageError(IngrainError):
    """A stage could not do its work. Becomes the job's `error`, with the stage's name."""

    type = "stage-failed"
    title = "A stage of the job failed"
