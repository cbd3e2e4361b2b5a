"""HTTP of documents."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from app.adapters.removal import unload
from app.dependencies import Database, Parts
from app.documents import service
from app.documents.schemas import DocumentTaken, DocumentView, ExternalId, NewDocument
from app.documents.upload import Upload, read_upload
from app.errors import (
    AdapterNotReady,
    Conflict,
    DocumentTooLarge,
    IdempotencyConflict,
    InvalidDocument,
    InvalidInput,
    InvalidRequest,
    InvalidSettings,
    NotFound,
    NotReady,
    UnsupportedMediaType,
    WrongBaseModel,
)
from app.idempotency.service import KeyHeader, set_headers
from app.pages import Cursor, Limit, Page, id_cursor
from app.problems import problems

router = APIRouter(tags=["documents"])

_JSON_STRING = {"type": "string", "contentMediaType": "application/json"}
_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "application/json": {"schema": {"$ref": f"#/components/schemas/{NewDocument.__name__}"}},
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["file"],
                "properties": {
                    "file": {"type": "string", "format": "binary", "description": "UTF-8 text or Markdown."},
                    "title": {"type": "string", "maxLength": 200},
                    "external_id": {"type": "string", "minLength": 1, "maxLength": 200},
                    "make_adapter": {"type": "string", "enum": ["true", "false"]},
                    "alias": {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"},
                    "parent": {"type": "string", "minLength": 1, "maxLength": 64},
                    "settings": {**_JSON_STRING, "description": "The settings, as a JSON object."},
                    "metadata": {**_JSON_STRING, "description": "The metadata, as a JSON object."},
                },
                "additionalProperties": False,
            }
        },
    },
}


async def _upload(request: Request, parts: Parts) -> Upload:
    return await read_upload(request, parts.settings.max_document_bytes)


@router.post(
    "/documents",
    status_code=202,
    operation_id="createDocument",
    summary="Teach a document",
    openapi_extra={"requestBody": _BODY},
    response_model=DocumentTaken,
    responses={
        201: {"model": DocumentTaken, "description": "The document was kept, and no adapter is made."},
        **problems(
            InvalidRequest, IdempotencyConflict, AdapterNotReady, WrongBaseModel, DocumentTooLarge,
            UnsupportedMediaType, InvalidInput, InvalidDocument, InvalidSettings,
        ),
    },
)  # fmt: skip
async def create_document(
    upload: Annotated[Upload, Depends(_upload)], parts: Parts, response: Response, idempotency_key: KeyHeader = None
) -> dict[str, Any]:
    """Take a document, as JSON or as a file, and queue the job that makes an adapter of it.

    The answer comes at once; `Location` is the job to follow. With `alias`, the new adapter can be chatted with by
    that name: at once where the alias is new or its adapter came to nothing, and as soon as it is ready where the alias
    has another one already.

    With `external_id` it replaces the document that was posted under that id before, whose pairs become stale; the same
    bytes under the same title are the document that is there already. With `parent` the new adapter goes on from that
    one. With `make_adapter` false it is kept alone (201, and `Location` is the document), for POST /v1/adapters.
    """
    answer = await run_in_threadpool(service.take, parts, upload, idempotency_key)
    set_headers(response, answer)
    if answer.body["job"] is None:
        response.status_code = 201
    return answer.body


@router.get("/documents", operation_id="listDocuments", summary="List documents", responses=problems(InvalidInput))
def list_documents(
    session: Database,
    external_id: Annotated[ExternalId | None, Query(description="Only those posted under this id of yours.")] = None,
    limit: Limit = 20,
    cursor: Cursor = None,
) -> Page[DocumentView]:
    """Documents, newest first. Of those under one `external_id`, the first is the current one."""
    rows, following = service.list_page(session, limit, id_cursor("doc", cursor), external_id)
    return Page(data=[DocumentView.of(row) for row in rows], next_cursor=following)


@router.get(
    "/documents/{document_id}", operation_id="getDocument", summary="Get a document", responses=problems(NotFound)
)
def get_document(document_id: str, session: Database) -> DocumentView:
    """One document. Its text is not given back here: it is yours already."""
    return DocumentView.of(service.get(session, document_id))


@router.delete(
    "/documents/{document_id}",
    status_code=204,
    operation_id="deleteDocument",
    summary="Delete a document",
    responses=problems(NotFound, Conflict, InvalidInput, NotReady),
)
async def delete_document(
    document_id: str,
    parts: Parts,
    cascade: Annotated[bool, Query(description="Delete the adapters that were made from it, too.")] = False,
) -> None:
    """Forget it, and delete its bytes and its text.

    What adapters were made from stays in their weights and pairs, so it is refused while there are any, unless
    `cascade` deletes them with it. Where the store fails it stays known, and the same DELETE finishes what is left.
    """
    gone = await run_in_threadpool(service.forget, parts, document_id, cascade)
    parts.indexes.forget(document_id)
    for adapter_id in gone:
        await unload(parts, adapter_id)
