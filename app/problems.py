"""Every error that leaves the service, as an `application/problem+json` document (RFC 9457).

On the routes that OpenAI's clients call, the document also carries OpenAI's `error` member, which those clients read.
"""

import http
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.types import Scope

from app.errors import IngrainError, UnsupportedMediaType
from app.validation import from_validation

MEDIA_TYPE = "application/problem+json"
OPENAI_ROUTES = ("/v1/chat", "/v1/models")
OPENAI_CODES = {"unknown-model": "model_not_found", "unauthorized": "invalid_api_key"}


class FieldProblem(BaseModel):
    """One field that is wrong."""

    field: str = Field(description="Dotted path of the field.", examples=["settings.rank"])
    detail: str = Field(description="What is wrong with it.", examples=["'settings.rank' must be at least 1."])


class Problem(BaseModel):
    """What went wrong, why, and the way out (RFC 9457). Some types have further members, such as `job`."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(description="Stable name of the kind of problem.", examples=["/problems/invalid-document"])
    title: str = Field(description="The kind of problem in words.", examples=["The document cannot be used"])
    status: int = Field(description="The HTTP status.", examples=[422])
    detail: str = Field(description="This problem: the thing, the cause and the way out.")
    instance: str = Field(description="The path that was called.", examples=["/v1/documents"])
    request_id: str | None = Field(None, description="Names this request in the server's log.")
    field: str | None = Field(None, description="Dotted path of the field that is wrong, where there is one.")
    errors: list[FieldProblem] | None = Field(None, description="Every field that is wrong, where there are several.")


def problem_response(scope: Scope, error: IngrainError) -> JSONResponse:
    """The problem document of `error`."""
    return _response(scope, error.status, error.type, error.title, error)


def _response(scope: Scope, status: int, kind: str, title: str, error: IngrainError) -> JSONResponse:
    path: str = scope["path"]
    content: dict[str, Any] = {
        "type": f"/problems/{kind}",
        "title": title,
        "status": status,
        "detail": error.detail,
        "instance": path,
        "request_id": scope.get("state", {}).get("request_id"),
    }
    if error.field is not None:
        content["field"] = error.field
    content |= error.extra
    if path.startswith(OPENAI_ROUTES):
        content["error"] = openai_error(error, status, kind)
    return JSONResponse(_printable(content), status, headers=error.headers, media_type=MEDIA_TYPE)


def openai_error(error: IngrainError, status: int | None = None, kind: str | None = None) -> dict[str, Any]:
    """The error as OpenAI's clients read it: the member `error` of a document, or of an event in a stream."""
    kind = kind or error.type
    return {
        "message": error.detail,
        "type": _openai_type(status or error.status),
        "param": error.field,
        "code": OPENAI_CODES.get(kind, kind.replace("-", "_")),
    }


def _openai_type(status: int) -> str:
    if status == http.HTTPStatus.TOO_MANY_REQUESTS:
        return "rate_limit_error"
    return "invalid_request_error" if status < http.HTTPStatus.INTERNAL_SERVER_ERROR else "server_error"


def _printable(value: Any) -> Any:
    """Errors may quote what a client sent, and half a surrogate pair cannot be written as UTF-8."""
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, Mapping):
        return {_printable(key): _printable(item) for key, item in value.items()}
    return [_printable(item) for item in value] if isinstance(value, list) else value


def add_problem_handlers(app: FastAPI) -> None:
    """Answer every error with a problem document. What nobody expected is caught in `app.requests`."""

    @app.exception_handler(IngrainError)
    async def _ours(request: Request, error: IngrainError) -> JSONResponse:
        return problem_response(request.scope, error)

    @app.exception_handler(RequestValidationError)
    async def _validation(request: Request, error: RequestValidationError) -> JSONResponse:
        as_openai = request.url.path.startswith(OPENAI_ROUTES)
        found = _foreign_body(request) or from_validation(error.errors(), as_openai=as_openai)
        return problem_response(request.scope, found)

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> JSONResponse:
        if isinstance(error.__cause__, IngrainError):  # raised while FastAPI read the body
            return problem_response(request.scope, error.__cause__)
        phrase = http.HTTPStatus(error.status_code).phrase
        path = request.url.path
        detail = {
            404: f"There is nothing at {path}. The calls that exist are listed at /docs.",
            405: f"{request.method} is not possible at {path}.",
        }.get(error.status_code, str(error.detail))
        kind = phrase.lower().replace(" ", "-")
        shown = IngrainError(detail, headers=error.headers)
        return _response(request.scope, error.status_code, kind, phrase, shown)


def _foreign_body(request: Request) -> UnsupportedMediaType | None:
    """FastAPI does not read a body that is not declared as JSON, and would say that its fields are missing."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if request.method not in {"POST", "PUT"} or not media_type or media_type.endswith(("/json", "+json")):
        return None
    return UnsupportedMediaType(f"The body must be application/json, not {media_type}.")


def problems(*errors: type[IngrainError]) -> dict[int | str, dict[str, Any]]:
    """The `responses=` of an operation that answers with these errors, by status."""
    titles: dict[int, list[str]] = {}
    for error in errors:
        titles.setdefault(error.status, []).append(f"{error.title} (`/problems/{error.type}`).")
    return {status: _documented(" ".join(lines)) for status, lines in sorted(titles.items())}


def _documented(description: str) -> dict[str, Any]:
    return {"description": description, "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}}


def complete_openapi(schema: dict[str, Any], *models: type[BaseModel]) -> None:
    """Put the problem document and further `models` into an OpenAPI schema.

    The problem document takes the place of FastAPI's own shape of validation errors, which is never sent.
    """
    components = schema.setdefault("components", {}).setdefault("schemas", {})
    every: tuple[type[BaseModel], ...] = (Problem, *models)
    for model in every:
        definition = model.model_json_schema(ref_template="#/components/schemas/{model}")
        components.update(definition.pop("$defs", {}))
        components[model.__name__] = definition
    components.pop("HTTPValidationError", None)
    components.pop("ValidationError", None)
    for path, operations in schema["paths"].items():
        for operation in operations.values():
            refused = operation["responses"].get("422")
            if refused is None or "application/json" not in refused["content"]:
                continue
            if path.startswith(OPENAI_ROUTES):
                del operation["responses"]["422"]  # these answer 400, as OpenAI does
            else:
                operation["responses"]["422"] = _documented("A field is wrong (`/problems/invalid-input`).")
