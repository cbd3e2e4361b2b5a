"""The service over real HTTP, and adapters brought to life as a worker does it."""

import hashlib
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from app.database import unit_of_work
from app.jobs import leases
from app.jobs.floors import FailedFloor
from app.main import create_app
from app.models import STAGES
from app.settings import Settings, get_settings
from app.store import Store

REVISION = "a" * 40  # of the base model, as made-up jobs tell it
LIGHTHOUSE = "# The lighthouse of Orvenna\n\nIt was built in 1821 by Maret Quill, and its lamp burns rapeseed oil.\n"


@contextmanager
def serving(settings: Settings, port: int = 0) -> Iterator[httpx.Client]:
    """A client of the service, which runs in a thread, on a port of its own, with its lifespan."""
    config = uvicorn.Config(
        create_app(settings), host="127.0.0.1", port=port, log_level="warning", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the service did not start"
        thread.join(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
        yield client
    server.should_exit = True
    thread.join(15)
    assert not thread.is_alive(), "the service did not stop"


@pytest.fixture
def api(database: str) -> Iterator[httpx.Client]:
    """A client of the service, on SQLite and on PostgreSQL."""
    with serving(get_settings()) as client:
        yield client


@pytest.fixture
def api_on_sqlite(sqlite_database: str) -> Iterator[httpx.Client]:
    """A client of the service on SQLite, for what no database decides."""
    with serving(get_settings()) as client:
        yield client


def post(client: httpx.Client, **fields: Any) -> dict[str, Any]:
    """Post a document; return the answer's body."""
    answer = client.post("/v1/documents", json={"text": LIGHTHOUSE, **fields})
    assert answer.status_code == 202, answer.text
    body: dict[str, Any] = answer.json()
    return body


Finish = Callable[[str, Path], None]


def start(job_id: str) -> leases.Lease:
    """Lease the job as a worker does."""
    with unit_of_work() as session:
        lease = leases.take(session, job_id, owner="test", seconds=60, max_attempts=3)
    assert lease is not None
    return lease


def publish_text(job_id: str, folder: Path) -> None:
    """What read and answer leave in the store: two passages, five pairs, the first three without a lineage."""
    store = Store(get_settings().resolved_store_url)
    passages = [
        {"id": f"p{n}", "document_id": f"doc_{'xy'[n - 1]}", "title": "T", "heading": None, "text": f"Fact {n}."}
        for n in (1, 2)
    ]
    pairs = [
        {"id": f"q{n}", "passage_id": f"p{1 + n % 2}", "question": f"What is {n}?", "answer": f"It is {n}.",
         "kind": "fact", "sampled": False, "split": "train"}
        for n in range(5)
    ]  # fmt: skip
    for pair, known, sampled in ((pairs[3], True, False), (pairs[4], False, True)):
        pair |= {"sentence": "Fact.", "writer": "rule" if known else "model", "known": known, "sampled": sampled}
        pair |= {"scores": {"teacher": -0.25, "closed_book": -0.75}, "filters": ["answerable"]}
    pairs[0] |= {"kind": "name", "split": "held_out"}
    for stage, name, rows in (("read", "passages", passages), ("answer", "pairs", pairs)):
        (folder / stage).mkdir(parents=True)
        (folder / stage / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        store.publish_folder(folder / stage, f"jobs/{job_id}/{stage}")


def finish(
    taken: dict[str, Any],
    folder: Path,
    adapter: Path | None = None,
    report: dict[str, Any] | None = None,
    failed_floors: Sequence[FailedFloor] = (),
) -> None:
    """Bring a job to its end as a worker does, with the files of `adapter` and this report, or with made-up ones."""
    job_id, adapter_id = taken["job"]["id"], taken["adapter"]["id"]
    lease = start(job_id)
    publish_text(job_id, folder)
    if adapter is None:
        adapter = folder / "adapter"
        adapter.mkdir()
        (adapter / "adapter_config.json").write_text('{"peft_type": "LORA", "r": 8}')
        (adapter / "adapter_model.safetensors").write_bytes(b"\0" * 3_000_000)
    Store(get_settings().resolved_store_url).publish_folder(adapter, f"adapters/{adapter_id}")
    weights = (adapter / "adapter_model.safetensors").read_bytes()
    with unit_of_work() as session:
        for stage in STAGES:
            leases.start_stage(session, lease, stage)
            leases.record_progress(session, lease, 1, 2)
            leases.finish_stage(session, lease, stage, 1.5, {"made": 5})
        report = report or {"recall": {"adapter": {"right": 4, "of": 5}}}
        digest = hashlib.sha256(weights).hexdigest()
        leases.succeed(
            session,
            lease,
            base_revision=REVISION,
            sha256=digest,
            size_bytes=len(weights),
            report=report,
            failed_floors=failed_floors,
        )
