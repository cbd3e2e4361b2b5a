"""HTTP of documents."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from starlette.concurrency import run_in_threadpool

from app.dependencies import Database, Parts
from app.documents import service
from app.documents.schemas import DocumentTaken, DocumentView, NewDocument
from app.documents.upload import Upload, read_upload
from app.errors import (
    DocumentTooLarge,
    IdempotencyConflict,
    InvalidDocument,
    InvalidInput,
    InvalidRequest,
    InvalidSettings,
    NotFound,
    UnsupportedMediaType,
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
                    "alias": {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"},
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
    responses=problems(
        InvalidRequest, IdempotencyConflict, DocumentTooLarge, UnsupportedMediaType, InvalidInput, InvalidDocument,
        InvalidSettings,
    ),
)  # fmt: skip
async def create_document(
    upload: Annotated[Upload, Depends(_upload)], parts: Parts, response: Response, idempotency_key: KeyHeader = None
) -> dict[str, Any]:
    """Take a document, as JSON or as a file, and queue the job that makes an adapter of it.

    The answer comes at once; `Location` is the job to follow. With `alias`, the new adapter can be chatted with by
    that name: at once where the alias is new, and as soon as it is ready where the alias has an adapter already.
    """
    answer = await run_in_threadpool(service.take, parts, upload, idempotency_key)
    set_headers(response, answer)
    return answer.body


@router.get("/documents", operation_id="listDocuments", summary="List documents", responses=problems(InvalidInput))
def list_documents(session: Database, limit: Limit = 20, cursor: Cursor = None) -> Page[DocumentView]:
    """Documents, newest first."""
    rows, following = service.list_page(session, limit, id_cursor("doc", cursor))
    return Page(data=[DocumentView.of(row) for row in rows], next_cursor=following)


@router.get(
    "/documents/{document_id}", operation_id="getDocument", summary="Get a document", responses=problems(NotFound)
)
def get_document(document_id: str, session: Database) -> DocumentView:
    """One document. Its text is not given back here: it is yours already."""
    return DocumentView.of(service.get(session, document_id))
