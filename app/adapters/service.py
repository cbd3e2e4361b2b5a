"""The rules of adapters and aliases."""

import logging
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.adapters import artefacts, parents, queries, reports
from app.adapters.removal import clearing
from app.adapters.report_schemas import Report
from app.adapters.schemas import AdapterRef, AdapterTaken, AdapterView, NewAdapter
from app.dependencies import Services
from app.documents import queries as documents
from app.errors import AdapterNotReady, Conflict, InvalidInput, NotFound
from app.idempotency import service as idempotency
from app.idempotency.service import Answer
from app.ids import is_id, new_id
from app.jobs import queries as jobs
from app.jobs.schemas import JobRef, JobView
from app.jobs.service import resolve_settings
from app.jobs.settings import ResolvedSettings
from app.models import Adapter, AdapterStatus, Alias, Document, Job, JobStatus
from app.pages import cut
from app.settings import Settings
from app.store import Store

logger = logging.getLogger(__name__)

_ALIAS: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def check_alias(name: str | None, settings: Settings, field: str = "alias") -> None:
    """Refuse names that mean something else already.

    Raises:
        InvalidInput: it looks like an identifier, or is the base model's name.
    """
    if name is None:
        return
    if not _ALIAS.fullmatch(name):
        detail = f"{name!r} is not a name: use up to 64 letters, digits, '.', '_' and '-', a letter or digit first."
        raise InvalidInput(detail, field=field)
    if name.startswith(("adp_", "doc_", "job_")):
        raise InvalidInput(f"The alias {name!r} looks like an identifier; choose another name.", field=field)
    if name == settings.base_model_name:
        raise InvalidInput(f"{name!r} is the base model's name; choose another alias.", field=field)


def make(
    session: Session,
    *,
    base_model: str,
    documents: Sequence[Document],
    settings: ResolvedSettings,
    alias: str | None,
    metadata: dict[str, Any],
    parent: Adapter | None = None,
) -> tuple[Adapter, Job]:
    """A pending adapter, its queued job with the wake-up, and its alias where that is new: one transaction.

    Raises:
        InvalidInput: the parent knows all of the documents already, or one that it knows was replaced.
    """
    if parent is not None:
        documents = parents.documents_of_child(parent, documents)
    adapter = Adapter(
        id=new_id("adp"),
        status=AdapterStatus.PENDING,
        base_model=base_model,
        settings=settings.model_dump(mode="json"),
        alias=alias,
        user_metadata=metadata,
        parent_id=parent.id if parent else None,
        documents=list(documents),
    )
    queries.add(session, adapter)
    job = jobs.create(session, adapter.id)
    if alias is not None:
        queries.reserve_alias(session, alias, adapter.id)
    return adapter, job


def create(services: Services, new: NewAdapter, key: str | None) -> Answer:
    """Queue the job that makes an adapter from documents that are there already."""
    resolved = resolve_settings(new.settings, services.settings)
    check_alias(new.alias, services.settings)
    claim = idempotency.claim(key, "/v1/adapters", new.model_dump(mode="json"))
    if earlier := idempotency.replay(services.unit_of_work, claim):
        return earlier
    try:
        with services.unit_of_work() as session:
            chosen = _documents(session, new.document_ids)  # before the parent, as a deletion locks them
            parent = find_parent(session, services, new.parent)
            _check_versions(new.document_ids, chosen, parent)
            adapter, job = make(
                session,
                base_model=services.settings.base_model_name,
                documents=chosen,
                settings=parents.settings_of_child(resolved, new.settings, parent, services.settings),
                alias=new.alias,
                metadata=new.metadata,
                parent=parent,
            )
            taken = AdapterTaken(
                adapter=AdapterRef(id=adapter.id, status=AdapterStatus(adapter.status)),
                job=JobRef(id=job.id, status=JobStatus(job.status)),
            )
            answer = Answer(taken.model_dump(mode="json"), f"/v1/jobs/{job.id}")
            idempotency.remember(session, claim, 202, answer)
    except IntegrityError:
        faster = idempotency.replay(services.unit_of_work, claim)
        if faster is None:
            raise
        return faster
    return answer


def find_parent(session: Session, services: Services, name: str | None) -> Adapter | None:
    """The adapter to go on from, by its id or an alias; None without a name.

    It stays until the transaction ends: its documents are locked, and then its job, in the order of a deletion.

    Raises:
        InvalidInput: there is no such adapter.
        AdapterNotReady: its job has not succeeded.
        WrongBaseModel: it is of another base model, or of another revision of it.
        Conflict: its pairs are not in the store.
    """
    if name is None:
        return None
    adapter = find_called(session, name)
    if adapter is not None:
        documents.find_all(session, [document.id for document in adapter.documents], keep=True)
    if adapter is None or queries.lock_job(session, adapter.id) is None:
        raise InvalidInput(f"The adapter {name} does not exist; give the id or an alias of one.", field="parent")
    if adapter.status != AdapterStatus.READY:
        raise not_ready(adapter, name)
    parents.check(adapter, services)
    return adapter


def _documents(session: Session, document_ids: Sequence[str]) -> Sequence[Document]:
    wanted = list(dict.fromkeys(document_ids))
    ids = [*filter(_is_document, wanted)]
    found = {document.id: document for document in documents.find_all(session, ids, keep=True)}
    for number, document_id in enumerate(document_ids):
        if document_id not in found:
            field = f"document_ids.{number}"
            raise InvalidInput(f"The document {document_id} does not exist; post it first.", field=field)
    return [found[document_id] for document_id in wanted]


def _check_versions(document_ids: Sequence[str], chosen: Sequence[Document], parent: Adapter | None) -> None:
    """Refuse what was replaced beside another version of it: an adapter would learn answers that contradict.

    A replaced document alone is taken: it may be meant. So is what a parent knows of one, which a child leaves out.

    Raises:
        InvalidInput: it names the first such document, and the one that replaced it.
    """
    inherited = [document for document in parent.documents if document.replaced_by is None] if parent else []
    learnt = {document.id: document for document in [*chosen, *inherited]}
    versions = Counter(document.external_id for document in learnt.values())
    for document in chosen:
        if document.replaced_by is not None and versions[document.external_id] > 1:
            raise InvalidInput(
                f"The document {document.id} was replaced by {document.replaced_by}, and another version of it is to "
                f"be learnt as well (external_id {document.external_id!r}): their answers would contradict each "
                "other. Name one version.",
                field=f"document_ids.{document_ids.index(document.id)}",
            )


def _is_document(text: str) -> bool:
    return is_id("doc", text)


def get(session: Session, adapter_id: str) -> Adapter:
    """The adapter, with its documents and its job.

    Raises:
        NotFound: there is no such adapter.
    """
    adapter = queries.find(session, adapter_id) if is_id("adp", adapter_id) else None
    if adapter is None:
        raise _unknown_adapter(adapter_id)
    return adapter


def get_called(session: Session, name: str) -> Adapter:
    """The adapter that `name` means, which is its id or an alias, with its documents and its job.

    Raises:
        NotFound: it means none.
    """
    adapter = find_called(session, name)
    if adapter is None:
        raise _unknown_adapter(name)
    return adapter


def find_called(session: Session, name: str) -> Adapter | None:
    """The adapter that `name` means, which is its id or an alias, if it means one."""
    alias = queries.find_alias(session, name) if _ALIAS.fullmatch(name) else None
    adapter_id = alias.adapter_id if alias else name
    return queries.find(session, adapter_id) if is_id("adp", adapter_id) else None


def _unknown_adapter(name: str) -> NotFound:
    return NotFound(f"The adapter {name} does not exist. GET /v1/adapters lists those that do, with their aliases.")


def _unknown_alias(name: str) -> NotFound:
    return NotFound(f"The alias {name} does not exist. GET /v1/aliases lists those that do.")


def views(session: Session, adapters: Iterable[Adapter]) -> list[AdapterView]:
    """The views of adapters, each with the aliases that point at it."""
    rows = list(adapters)
    names = queries.names_of(session, [row.id for row in rows])
    return [AdapterView.of(row, names.get(row.id, [])) for row in rows]


def list_page(
    session: Session, limit: int, cursor: str | None, status: AdapterStatus | None
) -> tuple[list[AdapterView], str | None]:
    """A page of adapters, newest first, and the next cursor."""
    rows = queries.list_page(session, limit=limit + 1, cursor=cursor, status=status)
    page, following = cut(rows, limit, lambda adapter: adapter.id)
    return views(session, page), following


def not_ready(adapter: Adapter, called: str) -> AdapterNotReady:
    """Why an adapter cannot answer, and what to do about it. `called` is the name that the client used."""
    job = JobView.of(adapter.job)
    name = called if called == adapter.id else f"{called} ({adapter.id})"
    if job.status == JobStatus.FAILED:
        why = f"failed: its job {job.id} ended with an error: {(job.error or {}).get('detail', 'see the job')}"
        way_out = f"Mend the cause, then POST /v1/jobs/{job.id}/retry."
    elif job.status == JobStatus.CANCELLED:
        why, way_out = f"was cancelled with its job {job.id}.", f"POST /v1/jobs/{job.id}/retry makes it after all."
    else:
        doing = f"{job.status}, stage {job.stage}" if job.stage else job.status
        why = f"is not ready: its job {job.id} is at {job.progress:.0%} ({doing})."
        way_out = f"Follow it at /v1/jobs/{job.id}/events."
    return AdapterNotReady(
        f"The adapter {name} {why} {way_out}",
        extra={
            "adapter": {"id": adapter.id, "status": adapter.status},
            "job": job.model_dump(mode="json", include={"id", "status", "stage", "progress", "eta_seconds", "error"}),
        },
        headers={"X-Should-Retry": "false"},  # OpenAI's clients would otherwise ask a 409 again, to no avail
    )


def report_of(session: Session, store: Store, name: str) -> Report:
    """What the adapter knows, and what it took to make. `name` is its id or an alias.

    Raises:
        NotFound: there is no such adapter, or it was made without a report.
        AdapterNotReady: it was not examined yet.
    """
    adapter = get_called(session, name)
    report = queries.report_of(session, adapter.id)
    if report is not None:
        return reports.view(adapter, report, artefacts.coverage_gaps(store, adapter.job.id))
    if adapter.status != AdapterStatus.READY:
        raise not_ready(adapter, name)
    raise NotFound(f"The adapter {name} has no report.")


def forget(services: Services, adapter_id: str) -> None:
    """Forget an adapter, its aliases and its job, with their files.

    The store is cleared before the rows are gone for good: after an error in between the same call can be repeated.

    Raises:
        NotFound, Conflict: as `remove`.
        NotReady: the store failed; the rows are still there.
    """
    with services.unit_of_work() as session:
        job_id = remove(session, adapter_id)
        with clearing(f"The adapter {adapter_id}"):
            artefacts.delete(services.store, services.settings.artefact_cache, adapter_id, job_id)


def remove(session: Session, adapter_id: str) -> str:
    """Forget an adapter, its aliases and its job; return the job's id, whose artefacts are to go as well.

    Raises:
        NotFound: there is no such adapter.
        Conflict: its job still runs or waits, or that of a child does.
    """
    get(session, adapter_id)
    job = queries.lock_job(session, adapter_id)
    if job is None:
        raise _unknown_adapter(adapter_id)
    if job.status not in jobs.ENDED:
        raise Conflict(
            f"The adapter {adapter_id} is being made: its job {job.id} is {job.status}. Cancel the job first.",
            extra={"job": {"id": job.id, "status": job.status}},
        )
    parents.check_no_child_needs(adapter_id, queries.unfinished_children(session, adapter_id))
    queries.remove(session, adapter_id)
    return job.id


def get_alias(session: Session, name: str) -> Alias:
    """The alias.

    Raises:
        NotFound: there is no such alias.
    """
    alias = queries.find_alias(session, name) if _ALIAS.fullmatch(name) else None
    if alias is None:
        raise _unknown_alias(name)
    return alias


def point_alias(session: Session, settings: Settings, name: str, adapter_id: str) -> Alias:
    """Point an alias, new or not, at an adapter, from the next request on.

    Raises:
        InvalidInput: the name cannot be an alias, or there is no such adapter.
        AdapterNotReady: the adapter cannot answer, and the alias would stop to.
    """
    check_alias(name, settings, "name")
    adapter = queries.find(session, adapter_id) if is_id("adp", adapter_id) else None
    if adapter is None:
        raise InvalidInput(f"The adapter {adapter_id} does not exist.", field="adapter_id")
    if adapter.status != AdapterStatus.READY:
        raise not_ready(adapter, adapter_id)
    return queries.point_alias(session, name, adapter_id)


def remove_alias(session: Session, name: str) -> None:
    """Forget an alias; its adapter stays.

    Raises:
        NotFound: there is no such alias.
    """
    if not (_ALIAS.fullmatch(name) and queries.remove_alias(session, name)):
        raise _unknown_alias(name)


def list_aliases(session: Session, limit: int, cursor: str | None) -> tuple[Sequence[Alias], str | None]:
    """A page of aliases, by name, and the next cursor."""
    if cursor is not None and not _ALIAS.fullmatch(cursor):
        raise InvalidInput(f"{cursor!r} is not a cursor of this list; take next_cursor of a page.", field="cursor")
    return cut(queries.list_aliases(session, limit=limit + 1, cursor=cursor), limit, lambda alias: alias.name)
