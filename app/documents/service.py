"""The rules of documents."""

import hashlib
from collections.abc import Sequence

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.adapters import service as adapters
from app.adapters.schemas import AdapterRef
from app.dependencies import Services
from app.documents import queries
from app.documents.schemas import DocumentTaken, DocumentView
from app.documents.text import count_words, make_title
from app.documents.upload import Upload
from app.errors import NotFound
from app.idempotency import service as idempotency
from app.idempotency.service import Answer
from app.ids import is_id, new_id
from app.jobs.schemas import JobRef
from app.jobs.service import resolve_settings
from app.models import AdapterStatus, Document, JobStatus
from app.pages import cut


def take(services: Services, upload: Upload, key: str | None) -> Answer:
    """Keep a document and queue the job that makes an adapter of it.

    Its bytes are in the store before its row is in the database: what the database names exists. They stay there after
    an error in between, unless the database surely refused the row: a commit whose answer was lost may have happened.
    """
    settings = services.settings
    resolved = resolve_settings(upload.new.settings, settings)
    adapters.check_alias(upload.new.alias, settings)
    words = count_words(upload.new.text, settings.min_document_words, upload.field)
    digest = hashlib.sha256(upload.original).hexdigest()
    request = [digest, upload.media_type, upload.file_name, upload.new.model_dump(mode="json", exclude={"text"})]
    claim = idempotency.claim(key, "/v1/documents", request)
    if earlier := idempotency.replay(services.unit_of_work, claim):
        return earlier

    document = Document(
        id=new_id("doc"),
        title=upload.new.title or make_title(upload.new.text, upload.file_name),
        media_type=upload.media_type,
        size_bytes=len(upload.original),
        words=words,
        sha256=digest,
        user_metadata=upload.new.metadata,
    )
    folder = f"documents/{document.id}"
    try:
        services.store.write_bytes(f"{folder}/original", upload.original)
        services.store.write_bytes(f"{folder}/text.txt", upload.new.text.encode())
        with services.unit_of_work() as session:
            queries.add(session, document)
            adapter, job = adapters.make(
                session,
                base_model=settings.base_model_name,
                documents=[document],
                settings=resolved,
                alias=upload.new.alias,
                metadata=upload.new.metadata,
            )
            taken = DocumentTaken(
                document=DocumentView.of(document),
                adapter=AdapterRef(id=adapter.id, status=AdapterStatus(adapter.status)),
                job=JobRef(id=job.id, status=JobStatus(job.status)),
            )
            answer = Answer(taken.model_dump(mode="json"), f"/v1/jobs/{job.id}")
            idempotency.remember(session, claim, 202, answer)
    except IntegrityError:
        services.store.delete(folder)
        faster = idempotency.replay(services.unit_of_work, claim)
        if faster is None:
            raise
        return faster
    return answer


def get(session: Session, document_id: str) -> Document:
    """The document.

    Raises:
        NotFound: there is no such document.
    """
    document = queries.find(session, document_id) if is_id("doc", document_id) else None
    if document is None:
        raise NotFound(f"The document {document_id} does not exist.")
    return document


def list_page(session: Session, limit: int, cursor: str | None) -> tuple[Sequence[Document], str | None]:
    """A page of documents, newest first, and the next cursor."""
    rows = queries.list_page(session, limit=limit + 1, cursor=cursor)
    return cut(rows, limit, lambda document: document.id)
