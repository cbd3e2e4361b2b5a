"""A child's job: its stages get the new document and the parent, and a parent that does not fit fails it."""

from pathlib import Path

import pytest

from app.database import unit_of_work
from app.jobs import queries
from app.models import Adapter, Job, JobStatus
from app.store import get_store
from tests.jobs import add_job
from tests.worker.test_runner import OF_EVERY_FOLDER, fingerprint_of, run


def add_child(parent: Job, *, left_out: bool = False) -> str:
    """A job whose adapter goes on from that of `parent`; the job's id."""
    job_id = add_job(text="The lighthouse burns paraffin.")
    with unit_of_work() as session:
        child = queries.get(session, job_id).adapter
        child.parent_id = parent.adapter_id
        child.documents += [] if left_out else session.get_one(Adapter, parent.adapter_id).documents
    return job_id


@pytest.mark.parametrize("left_out", [False, True])
def test_a_childs_stages_get_the_new_document_and_the_parent(
    small_home: Path, sqlite_database: str, left_out: bool
) -> None:
    parent = run(add_job())
    job = run(add_child(parent, left_out=left_out), answer="goes_on", distil="goes_on")
    assert job.status == JobStatus.SUCCEEDED, job.error
    with unit_of_work() as session:
        known = [document_id for document_id, _ in queries.adapter_documents(session, parent.adapter_id)]
    for stage in ("answer", "distil"):
        summary = job.finished_stages[stage]["summary"]
        assert summary["new"] == ["The lighthouse burns paraffin."]
        files = [file for file in summary["parent"].pop("files") if Path(file).name not in OF_EVERY_FOLDER]
        assert files == [
            "adapter/adapter_config.json",
            "adapter/adapter_model.safetensors",
            "answer/answer.json",
            "examine/report.json",
            "read/read.json",
        ]
        assert summary["parent"] == {
            "adapter_id": parent.adapter_id,
            "documents": [] if left_out else known,
            "left_out": known if left_out else [],
        }


def test_a_parent_of_another_revision_fails_the_child_with_both(small_home: Path, sqlite_database: str) -> None:
    parent = run(add_job())
    with unit_of_work() as session:
        session.get_one(Adapter, parent.adapter_id).base_revision = "b" * 40
    job = run(add_child(parent))
    assert job.error is not None
    assert (job.status, job.error["type"], job.error["stage"]) == (JobStatus.FAILED, "configuration", "read")
    assert "b" * 40 in job.error["detail"]
    assert fingerprint_of(small_home / "small-model") in job.error["detail"]


def test_a_parent_whose_pairs_are_gone_fails_the_child_with_the_way_out(small_home: Path, sqlite_database: str) -> None:
    parent = run(add_job())
    get_store().delete(f"jobs/{parent.id}/answer")
    job = run(add_child(parent))
    assert job.error is not None
    assert (job.status, job.error["type"]) == (JobStatus.FAILED, "stage-failed")
    assert f"jobs/{parent.id}/answer of the parent {parent.adapter_id}" in job.error["detail"]
