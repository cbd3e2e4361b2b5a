"""Jobs for tests, and what became of them."""

import time
from collections.abc import Callable
from typing import Any

from app.adapters.queries import report_of
from app.database import unit_of_work
from app.ids import new_id
from app.jobs import queries
from app.jobs.settings import JobSettings, resolve
from app.models import Adapter, Document, Job, JobStatus
from app.settings import get_settings
from app.store import get_store

TEXT = "The Kestrel Lighthouse on Orvane was built in 1873 by Maud Tarrow."


def add_job(*, alias: str | None = None, text: str = TEXT, **settings: Any) -> str:
    """A document in the store, and its adapter and job in the database, as a POST leaves them; the job's id."""
    document_id, adapter_id = new_id("doc"), new_id("adp")
    get_store().write_bytes(f"documents/{document_id}/text.txt", text.encode())
    with unit_of_work() as session:
        document = Document(
            id=document_id,
            title="The lighthouse",
            media_type="text/plain",
            size_bytes=len(text),
            words=len(text.split()),
            sha256="0" * 64,
            user_metadata={},
        )
        adapter = Adapter(
            id=adapter_id,
            base_model=get_settings().base_model_name,
            settings=resolve(JobSettings.model_validate(settings)).model_dump(mode="json"),
            alias=alias,
            user_metadata={},
            documents=[document],
        )
        session.add(adapter)
        session.flush()
        return queries.create(session, adapter_id).id


def get_job(job_id: str) -> Job:
    with unit_of_work() as session:
        return queries.get(session, job_id)


def get_report(adapter_id: str) -> dict[str, Any] | None:
    with unit_of_work() as session:
        return report_of(session, adapter_id)


def events(job_id: str) -> list[tuple[str, dict[str, Any]]]:
    with unit_of_work() as session:
        return [(event.type, event.data) for event in queries.events_after(session, job_id, 0)]


def event_types(job_id: str) -> list[str]:
    return [type_ for type_, _ in events(job_id)]


def wait_until(condition: Callable[[], object], what: str, seconds: float = 60) -> None:
    """Wait for something that happens in another thread or process.

    Raises:
        AssertionError: it has not happened after `seconds`.
    """
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, f"not within {seconds} s: {what}"
        time.sleep(0.05)


def wait_for_status(job_id: str, status: JobStatus, seconds: float = 30) -> Job:
    def there() -> bool:
        job = get_job(job_id)
        ended = job.status in queries.ENDED and job.status != status
        assert not ended, f"{job_id} is {job.status}: {job.error}"
        return job.status == status

    wait_until(there, f"{job_id} is {status}", seconds)
    return get_job(job_id)
