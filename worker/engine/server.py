"""The HTTP side: routes, keys, errors, and clients that go away."""

import asyncio
import contextlib
import hmac
import logging
from collections.abc import Coroutine
from importlib.metadata import version
from typing import Any, TypeVar

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException

from worker.engine.errors import EngineError, unavailable
from worker.engine.protocol import (
    ChatRendering,
    ChatRequest,
    CompletionRequest,
    DetokenizeRequest,
    TokenizeRequest,
    refuse_unsupported,
)
from worker.engine.serving import Serving

log = logging.getLogger(__name__)
Body = TypeVar("Body", bound=BaseModel)
T = TypeVar("T")
_CLIENT_CLOSED_REQUEST = 499


def build_app(serving: Serving, api_key: str | None) -> FastAPI:
    """The application; with `api_key`, every path but /health asks for it."""
    app = FastAPI(title="Ingrain embedded engine", docs_url=None, redoc_url=None, openapi_url=None)
    _add_errors(app)
    _add_generation(app, serving)
    _add_models(app, serving)
    _add_tokens(app, serving)
    _add_sleep(app, serving)

    @app.get("/health")
    async def health() -> Response:
        if not serving.alive:
            raise unavailable("The engine's model thread has ended.")
        return Response()

    @app.get("/version")
    async def version_() -> Response:
        return JSONResponse({"version": version("ingrain")})

    if api_key:
        _add_key(app, api_key)
    return app


def _add_key(app: FastAPI, api_key: str) -> None:
    @app.middleware("http")
    async def check_key(request: Request, call_next: Any) -> Response:
        given = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
        if request.url.path != "/health" and not hmac.compare_digest(given.encode(), api_key.encode()):
            error = EngineError("Unauthorized: a valid bearer key is needed.", status=401, kind="AuthenticationError")
            return JSONResponse(error.body, status_code=401, headers={"WWW-Authenticate": "Bearer"})
        response: Response = await call_next(request)
        return response


def _add_errors(app: FastAPI) -> None:
    @app.exception_handler(EngineError)
    async def engine_error(_: Request, error: EngineError) -> Response:
        return JSONResponse(error.body, status_code=error.status, headers=error.headers)

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> Response:
        found = EngineError(
            f"{error.detail}: {request.method} {request.url.path}", status=error.status_code, kind="NotFoundError"
        )
        return JSONResponse(found.body, status_code=error.status_code, headers=error.headers)

    @app.exception_handler(Exception)
    async def unexpected(_: Request, error: Exception) -> Response:
        log.error("a request failed", exc_info=error)
        found = EngineError("The engine failed; its log says why.", status=500, kind="InternalServerError")
        return JSONResponse(found.body, status_code=500)


def _add_generation(app: FastAPI, serving: Serving) -> None:
    @app.post("/v1/chat/completions")
    async def chat(request: Request) -> Response:
        body = await _parse(request, ChatRequest, generation=True)
        begun = serving.begin_chat(body)
        if body.stream:
            return StreamingResponse(serving.stream_chat(body, begun), media_type="text/event-stream")
        try:
            return await _unless_gone(request, serving.chat(body, begun))
        finally:
            serving.abandon(begun)

    @app.post("/v1/completions")
    async def complete(request: Request) -> Response:
        body = await _parse(request, CompletionRequest, generation=True)
        begun = serving.begin_completion(body)
        if body.stream:
            return StreamingResponse(serving.stream_completion(body, begun), media_type="text/event-stream")
        try:
            return await _unless_gone(request, serving.completion(body, begun))
        finally:
            serving.abandon(begun)


def _add_models(app: FastAPI, serving: Serving) -> None:
    @app.get("/v1/models")
    async def models() -> Response:
        return JSONResponse(serving.models())

    @app.post("/v1/load_lora_adapter")
    async def load(request: Request) -> Response:
        body = await _json(request)
        name, path = body.get("lora_name"), body.get("lora_path")
        if not (isinstance(name, str) and name and isinstance(path, str) and path):
            raise EngineError("Both 'lora_name' and 'lora_path' must be provided.", kind="InvalidUserInput")
        if body.get("load_inplace"):
            raise EngineError("load_inplace is not supported: names never change what they mean.", param="load_inplace")
        await serving.load_adapter(name, path)
        return PlainTextResponse(f"Success: LoRA adapter '{name}' added successfully.")

    @app.post("/v1/unload_lora_adapter")
    async def unload(request: Request) -> Response:
        name = (await _json(request)).get("lora_name")
        if not (isinstance(name, str) and name):
            raise EngineError("'lora_name' needs to be provided to unload a LoRA adapter.", kind="InvalidUserInput")
        await serving.unload_adapter(name)
        return PlainTextResponse(f"Success: LoRA adapter '{name}' removed successfully.")


def _add_tokens(app: FastAPI, serving: Serving) -> None:
    prompts = serving.prompts

    @app.post("/tokenize")
    async def tokenize(request: Request) -> Response:
        body = await _parse(request, TokenizeRequest)
        serving.adapter(body.model)
        if body.messages:
            fields = ("messages", "add_generation_prompt", "continue_final_message", "chat_template_kwargs")
            rendering = {name: getattr(body, name) for name in fields}
            tokens = prompts.chat(_valid(ChatRendering, rendering))
        elif body.prompt is not None:
            tokens = prompts.text(body.prompt, add_special_tokens=body.add_special_tokens is not False)
        else:
            raise EngineError("Either prompt or messages must be provided.", param="prompt")
        strings = prompts.tokenizer.convert_ids_to_tokens(tokens) if body.return_token_strs else None
        found = {"count": len(tokens), "max_model_len": prompts.max_length, "tokens": tokens, "token_strs": strings}
        return JSONResponse(found)

    @app.post("/detokenize")
    async def detokenize(request: Request) -> Response:
        body = await _parse(request, DetokenizeRequest)
        serving.adapter(body.model)
        tokens = prompts.check_ids(body.tokens)
        return JSONResponse({"prompt": prompts.tokenizer.decode(tokens, skip_special_tokens=False)})


def _add_sleep(app: FastAPI, serving: Serving) -> None:
    @app.post("/sleep")
    async def sleep(request: Request) -> Response:
        asked = request.query_params
        if asked.get("level", "1") != "1":
            raise EngineError("Only level=1 is supported: it keeps weights and adapters for waking.", param="level")
        mode = asked.get("mode", "abort")
        if mode not in {"abort", "wait"}:
            raise EngineError("Only mode=abort and mode=wait are supported.", param="mode")
        await serving.sleep(abort=mode == "abort")
        return JSONResponse({"status": "sleeping", "level": 1})

    @app.post("/wake_up")
    async def wake_up() -> Response:
        await serving.wake_up()
        return JSONResponse({"status": "awake", "tags": None})

    @app.get("/is_sleeping")
    async def is_sleeping() -> Response:
        return JSONResponse({"is_sleeping": serving.sleeps})


async def _json(request: Request) -> dict[str, Any]:
    try:
        body = await request.json()
    except ValueError as error:
        raise EngineError(f"The body is not JSON: {error}") from None
    if not isinstance(body, dict):
        raise EngineError("The body must be a JSON object.")
    return body


async def _parse(request: Request, model: type[Body], *, generation: bool = False) -> Body:
    body = await _json(request)
    if generation:
        refuse_unsupported(body)
    return _valid(model, body)


def _valid(model: type[Body], body: dict[str, Any]) -> Body:
    try:
        return model.model_validate(body)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        text = first["msg"].removeprefix("Value error, ")
        raise EngineError(f"{where}: {text}" if where else text, param=where or None) from None


async def _unless_gone(request: Request, answer: Coroutine[Any, Any, dict[str, Any]]) -> Response:
    """The answer, or nothing at all once the client has gone away."""
    answering = asyncio.ensure_future(answer)
    leaving = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if answering.done():
            return JSONResponse(answering.result())
        return Response(status_code=_CLIENT_CLOSED_REQUEST)
    finally:
        for task in (answering, leaving):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, EngineError):
                await task


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
