"""HTTP of chats, in OpenAI's shapes."""

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from starlette.requests import ClientDisconnect

from app.chat import service
from app.chat.schemas import ChatRequest
from app.dependencies import Parts
from app.errors import (
    AdapterNotReady,
    BadEngineRequest,
    EngineBusy,
    EngineUnavailable,
    InvalidRequest,
    NotFound,
    NotReady,
    RequestTooLarge,
    UnknownModel,
    UnsupportedMediaType,
    WrongBaseModel,
)
from app.problems import problems

router = APIRouter(prefix="/chat", tags=["chat"])

_CLIENT_CLOSED_REQUEST = 499  # as nginx calls it; nobody is there to read it, but the metrics are


@router.post(
    "/completions",
    operation_id="createChatCompletion",
    summary="Ask an adapter",
    response_class=JSONResponse,
    responses={
        200: {
            "description": "OpenAI's chat completion, or, with `stream`, its chunks as server-sent events.",
            "content": {
                "application/json": {"schema": {"$ref": "#/components/schemas/ChatCompletion"}},
                "text/event-stream": {"schema": {"type": "string"}},
            },
        },
        **problems(
            InvalidRequest, BadEngineRequest, UnknownModel, NotFound, AdapterNotReady, WrongBaseModel, RequestTooLarge,
            UnsupportedMediaType, EngineBusy, EngineUnavailable, NotReady,
        ),
    },
)  # fmt: skip
async def create_chat_completion(chat: ChatRequest, request: Request, parts: Parts) -> Response:
    """Answers by an adapter, an alias or the base model, in OpenAI's own shape: its clients work unchanged.

    With `retrieval` the passages of documents that suit the question best are put into the prompt, and the answer has
    them. Errors are problem documents that carry OpenAI's `error` as well.
    """
    target = await service.find_target(parts, chat.model)
    try:
        if chat.stream:
            events = await service.while_connected(request, service.stream(parts, chat, target))
            return StreamingResponse(events, media_type="text/event-stream", headers={"Cache-Control": "no-store"})
        return JSONResponse(await service.while_connected(request, service.answer(parts, chat, target)))
    except ClientDisconnect:
        return Response(status_code=_CLIENT_CLOSED_REQUEST)
