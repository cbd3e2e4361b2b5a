"""The rules of documents."""

import hashlib
from collections.abc import Sequence

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.adapters import artefacts, parents
from app.adapters import queries as adapter_rows
from app.adapters import service as adapters
from app.adapters.removal import clearing
from app.adapters.schemas import AdapterRef
from app.dependencies import Services
from app.documents import queries
from app.documents.schemas import DocumentTaken, DocumentView, NewDocument
from app.documents.text import count_words, make_title
from app.documents.upload import Upload
from app.errors import Conflict, IngrainError, NotFound
from app.idempotency import service as idempotency
from app.idempotency.service import Answer
from app.ids import is_id, new_id
from app.jobs.schemas import JobRef
from app.jobs.service import resolve_settings
from app.jobs.settings import ResolvedSettings
from app.models import AdapterStatus, Document, JobStatus, now
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
        external_id=upload.new.external_id,
    )
    folder = f"documents/{document.id}"
    try:
        services.store.write_bytes(f"{folder}/original", upload.original)
        services.store.write_bytes(f"{folder}/text.txt", upload.new.text.encode())
        with services.unit_of_work() as session:
            kept = _keep(session, document)
            answer = _teach(session, services, kept, upload.new, resolved) if upload.new.make_adapter else _alone(kept)
            idempotency.remember(session, claim, 202 if upload.new.make_adapter else 201, answer)
    except IntegrityError:
        services.store.delete(folder)
        faster = idempotency.replay(services.unit_of_work, claim)
        if faster is None:
            raise
        return faster
    except IngrainError:  # the transaction was given up before it reached the database
        services.store.delete(folder)
        raise
    if kept is not document:
        services.store.delete(folder)
    return answer


def _keep(session: Session, document: Document) -> Document:
    """Write the document, in the place of the one that has its external id, if there is one.

    The same bytes under the same title replace nothing: then it is the document that is there already, with the
    metadata that came now, if any did.
    """
    former = queries.current(session, document.external_id) if document.external_id is not None else None
    if former is not None:
        if (former.sha256, former.title) == (document.sha256, document.title):
            former.user_metadata = document.user_metadata or former.user_metadata
            return former
        former.replaced_by, former.replaced_at = document.id, now()
    queries.add(session, document)
    return document


def _teach(
    session: Session, services: Services, document: Document, new: NewDocument, resolved: ResolvedSettings
) -> Answer:
    parent = adapters.find_parent(session, services, new.parent)
    adapter, job = adapters.make(
        session,
        base_model=services.settings.base_model_name,
        documents=[document],
        settings=parents.settings_of_child(resolved, new.settings, parent, services.settings),
        alias=new.alias,
        metadata=new.metadata,
        parent=parent,
    )
    taken = DocumentTaken(
        document=DocumentView.of(document),
        adapter=AdapterRef(id=adapter.id, status=AdapterStatus(adapter.status)),
        job=JobRef(id=job.id, status=JobStatus(job.status)),
    )
    return Answer(taken.model_dump(mode="json"), f"/v1/jobs/{job.id}")


def _alone(document: Document) -> Answer:
    taken = DocumentTaken(document=DocumentView.of(document), adapter=None, job=None)
    return Answer(taken.model_dump(mode="json"), f"/v1/documents/{document.id}")


def get(session: Session, document_id: str) -> Document:
    """The document.

    Raises:
        NotFound: there is no such document.
    """
    document = queries.find(session, document_id) if is_id("doc", document_id) else None
    if document is None:
        raise _unknown(document_id)
    return document


def _unknown(document_id: str) -> NotFound:
    return NotFound(f"The document {document_id} does not exist. GET /v1/documents lists those that do.")


def forget(services: Services, document_id: str, cascade: bool) -> list[str]:
    """Forget a document with its bytes and text; with `cascade` also the adapters that were made from it.

    The store is cleared before the rows are gone for good: after an error in between the same call can be repeated.

    Returns:
        The adapters' ids.

    Raises:
        NotFound: there is no such document.
        Conflict: adapters were made from it and are to stay, or one of them is being made.
        NotReady: the store failed; the rows are still there.
    """
    with services.unit_of_work() as session:
        gone = _remove(session, document_id, cascade)
        with clearing(f"The document {document_id}"):
            services.store.delete(f"documents/{document_id}")
            for adapter_id, job_id in gone:
                artefacts.delete(services.store, services.settings.artefact_cache, adapter_id, job_id)
    return [adapter_id for adapter_id, _ in gone]


def _remove(session: Session, document_id: str, cascade: bool) -> list[tuple[str, str]]:
    get(session, document_id)
    document = queries.lock(session, document_id)
    if document is None:
        raise _unknown(document_id)
    made = adapter_rows.made_from(session, document_id)
    if made and not cascade:
        raise Conflict(
            f"The document {document_id} is in the weights and pairs of {', '.join(adapter.id for adapter in made)}. "
            "Delete these first, or with it: DELETE with ?cascade=true.",
            extra={"adapters": [{"id": adapter.id, "status": adapter.status} for adapter in made]},
        )
    gone = [(adapter.id, adapters.remove(session, adapter.id)) for adapter in made]  # children are newer than parents
    queries.remove(session, document)
    return gone


def list_page(
    session: Session, limit: int, cursor: str | None, external_id: str | None
) -> tuple[Sequence[Document], str | None]:
    """A page of documents, newest first, and the next cursor."""
    rows = queries.list_page(session, limit=limit + 1, cursor=cursor, external_id=external_id)
    return cut(rows, limit, lambda document: document.id)
