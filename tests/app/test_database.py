"""Units of work: those that only read neither wait for a writer nor can write."""

import time

import httpx
import pytest
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from app.database import unit_of_work
from app.models import Document
from tests.app.conftest import post


def _document(number: int) -> Document:
    return Document(
        id=f"doc_{number}",
        title="T",
        media_type="text/plain",
        size_bytes=1,
        words=1,
        sha256="0" * 64,
        user_metadata={},
    )


def _ids(*, reads_only: bool) -> list[str]:
    with unit_of_work(reads_only=reads_only) as session:
        return list(session.scalars(select(Document.id)))


def _add(number: int, *, reads_only: bool) -> None:
    with unit_of_work(reads_only=reads_only) as session:
        session.add(_document(number))


def test_a_reader_does_not_wait_for_a_writer_and_sees_what_was_committed(database: str) -> None:
    with unit_of_work() as writing:
        writing.add(_document(1))
        writing.flush()
        began = time.monotonic()
        assert _ids(reads_only=True) == []
        assert time.monotonic() - began < 5
    assert _ids(reads_only=True) == ["doc_1"]


def test_a_writer_does_not_wait_for_a_reader(database: str) -> None:
    with unit_of_work(reads_only=True) as reading:
        assert list(reading.scalars(select(Document.id))) == []
        with unit_of_work() as writing:
            writing.add(_document(1))
    assert _ids(reads_only=True) == ["doc_1"]


def test_a_reader_cannot_write_and_its_connection_can_again_afterwards(database: str) -> None:
    with pytest.raises(DBAPIError, match=r"read.?only"):
        _add(1, reads_only=True)
    _add(2, reads_only=False)
    assert _ids(reads_only=False) == ["doc_2"]


def test_a_get_is_answered_while_a_transaction_is_open(api: httpx.Client) -> None:
    taken = post(api)
    paths = ["documents", "jobs", "adapters", "models", "aliases", f"jobs/{taken['job']['id']}/events"]
    with unit_of_work() as writing:
        writing.add(_document(1))
        writing.flush()
        for path in paths:
            assert api.get(f"/v1/{path}", timeout=5).status_code == 200
        assert api.get("/metrics", timeout=5).status_code == 200
