"""`ingrain adapters report`, against a service that has an adapter."""

import json
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from app.api_client import Refused
from app.cli import app
from app.database import unit_of_work
from app.errors import ConfigurationError
from app.jobs.floors import FailedFloor
from app.models import Job
from app.settings import get_settings
from app.store import Store
from tests.app.conftest import LIGHTHOUSE, finish, post

RIGHT = {"answer": "By Maret\nQuill.", "right": True}
WRONG = {"answer": "By [b]Ana Rook.", "right": False}
ITEM = {"expected": "By Maret Quill.", "base": WRONG, "teacher": RIGHT}
FOUND = {
    "recall": {"base": {"right": 0, "of": 2}, "teacher": {"right": 2, "of": 2}, "adapter": {"right": 1, "of": 2}},
    "items": [
        {**ITEM, "question": "Who built it?", "adapter": RIGHT},
        {**ITEM, "question": "By whom was it built?", "adapter": WRONG},
    ],
    "retention": {
        "prompts": 200,
        "base_right": 100,
        "adapter_right": 97,
        "lost_points": 1.5,
        "drift": {"nats": 0.0321},
        "lost": [{"question": "What is the opposite of hot?", "base": "Cold.", "adapter": "Rapeseed oil."}] * 4,
    },
}


@pytest.fixture
def adapter_id(api_on_sqlite: httpx.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A ready adapter with that report, behind the alias orvenna; the commands know the service's address."""
    monkeypatch.setenv("INGRAIN_URL", str(api_on_sqlite.base_url))
    taken = post(api_on_sqlite, alias="orvenna")
    finish(taken, tmp_path / "job", report=FOUND)
    identifier: str = taken["adapter"]["id"]
    return identifier


def test_the_report_tells_what_was_missed(adapter_id: str) -> None:
    shown = CliRunner().invoke(app, ["adapters", "report", adapter_id])
    assert shown.exit_code == 0, shown.output
    rows = [" ".join(line.split()) for line in shown.stdout.splitlines()]
    assert "adapter, closed-book 1 2 50 % 9 % to 91 %" in rows
    assert "Gain over the base model: 50 % of the teacher's, who reads the passage" in rows
    assert "General prompts: 100 of 200 right before, 97 after (−1.5 points; 95 % interval −3.9 to +0.9)" in rows
    assert "Drift on unrelated prompts: 0.0321 nats a token (0: as the base model)" in rows
    assert "By whom was it built?" in shown.stdout
    assert "✗ By [b]Ana Rook." in shown.stdout
    assert "Who built it?" not in shown.stdout, "it was not missed"
    assert "Rapeseed oil." in shown.stdout


def test_the_report_tells_what_is_lacking(
    api_on_sqlite: httpx.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INGRAIN_URL", str(api_on_sqlite.base_url))
    taken = post(api_on_sqlite, external_id="manual")
    gap = {"passage_id": "p1", "sentence": "It has [b]96 steps.", "covered": False, "missing": ["96"]}
    finish(taken, tmp_path / "job", report=FOUND, failed_floors=[FailedFloor(floor="min_recall", wanted=1, found=0.5)])
    store = Store(get_settings().resolved_store_url)
    store.write_bytes(f"jobs/{taken['job']['id']}/answer/coverage.json", json.dumps([gap]).encode())
    with unit_of_work() as session:
        job = session.get_one(Job, taken["job"]["id"])
        job.finished_stages = {**job.finished_stages, "answer": {"seconds": 1.0, "summary": {"coverage": 0.9}}}
    post(api_on_sqlite, external_id="manual", text=f"{LIGHTHOUSE} It has 96 steps.")
    shown = CliRunner().invoke(app, ["adapters", "report", taken["adapter"]["id"]])
    assert shown.exit_code == 0, shown.output
    told = " ".join(shown.stdout.split())
    assert "Degraded: It answers 50.0% of the held-out questions right; at least 100.0% were asked for" in told
    assert f"({taken['document']['id']}) was replaced" in told
    assert "not asked for: p1 It has [b]96 steps. (96)" in told


def test_an_alias_names_it_too_and_the_page_is_saved(
    adapter_id: str, api_on_sqlite: httpx.Client, tmp_path: Path
) -> None:
    page = tmp_path / "report.html"
    shown = CliRunner().invoke(app, ["adapters", "report", "orvenna", "--html", str(page), "--json"])
    assert shown.exit_code == 0, shown.output
    report = api_on_sqlite.get(f"/v1/adapters/{adapter_id}/report")
    assert json.loads(shown.stdout) == report.json()
    assert page.read_text() == api_on_sqlite.get(report.url, params={"format": "html"}).text
    unwritable = CliRunner().invoke(app, ["adapters", "report", "orvenna", "--html", str(tmp_path / "no" / "where")])
    assert isinstance(unwritable.exception, ConfigurationError)
    assert "--html" in unwritable.exception.detail


def test_an_adapter_is_shown_with_its_recall_and_on_demand_with_every_answer(adapter_id: str) -> None:
    shown = CliRunner().invoke(app, ["adapters", adapter_id, "--items"])
    assert shown.exit_code == 0, shown.output
    assert "adapter, closed-book" in shown.stdout
    assert shown.stdout.count("✓ By Maret Quill.") == 3


def test_a_childs_old_knowledge_is_shown_beside_what_its_parent_answered(
    adapter_id: str, api_on_sqlite: httpx.Client, tmp_path: Path
) -> None:
    recall = {"adapter": {"right": 0, "of": 1}, "parent": {"right": 1, "of": 1}}
    item = {**ITEM, "question": "Who dug it?", "adapter": WRONG, "parent": RIGHT}
    child = post(api_on_sqlite, text="The harbour of Velm was dug in 1742 by Ana Rook.")
    old = {"adapter_id": adapter_id, "recall": recall, "items": [item]}
    finish(child, tmp_path / "child", report={**FOUND, "old": old})
    for words in (["report", child["adapter"]["id"]], [child["adapter"]["id"], "--items"]):
        shown = CliRunner().invoke(app, ["adapters", *words])
        assert shown.exit_code == 0, shown.output
        rows = [" ".join(line.split()) for line in shown.stdout.splitlines()]
        assert "held-out questions of its parent right of share 95 % interval" in rows
        assert "parent, as its report tells 1 1 100 % 21 % to 100 %" in rows
        assert "Who dug it?" in shown.stdout


def test_no_report_is_refused(adapter_id: str, api_on_sqlite: httpx.Client) -> None:
    pending = post(api_on_sqlite)["adapter"]["id"]
    for name, status in ((pending, 409), ("nobody", 404)):
        refused = CliRunner().invoke(app, ["adapters", "report", name])
        assert isinstance(refused.exception, Refused)
        assert refused.exception.status == status


@pytest.mark.parametrize("words", [["report"], ["adp_1", "adp_2"], ["adp_1", "--html", "x.html"], ["--html", "x.html"]])
def test_wrong_usage_is_explained(words: list[str]) -> None:
    wrong = CliRunner().invoke(app, ["adapters", *words])
    assert wrong.exit_code == 2
    assert "ingrain adapters report" in " ".join(wrong.stderr.split())
