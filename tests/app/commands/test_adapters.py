"""How a degraded adapter is shown: in the list, by itself, and by its job as that ends."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from app.cli import app
from app.jobs.floors import FailedFloor
from tests.app.conftest import finish, post

WHY = "It answers 62.5% as many general questions right as the base model does; at least 90.0% were asked for"


@pytest.fixture
def degraded(api_on_sqlite: httpx.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """An adapter that is below a floor."""
    monkeypatch.setenv("COLUMNS", "200")
    taken = post(api_on_sqlite, alias="orvenna")
    finish(taken, tmp_path, failed_floors=[FailedFloor(floor="min_retention", wanted=0.9, found=0.625)])
    return taken


def run(client: httpx.Client, *words: str) -> str:
    """What the command says, on one line."""
    done = CliRunner().invoke(app, [*words, "--url", str(client.base_url)])
    assert done.exit_code == 0, done.output
    return " ".join(done.output.split())


def test_a_degraded_adapter_is_marked_with_the_reason(api_on_sqlite: httpx.Client, degraded: dict[str, Any]) -> None:
    assert "ready, degraded" in run(api_on_sqlite, "adapters")
    shown = run(api_on_sqlite, "adapters", degraded["adapter"]["id"])
    assert "ready, degraded" in shown
    assert WHY in shown


def test_its_job_says_so_and_how_to_ask_it_all_the_same(api_on_sqlite: httpx.Client, degraded: dict[str, Any]) -> None:
    adapter_id, job_id = degraded["adapter"]["id"], degraded["job"]["id"]
    assert f"adapter {adapter_id} (degraded)" in run(api_on_sqlite, "jobs", job_id)
    followed = run(api_on_sqlite, "jobs", job_id, "--follow")
    assert f"Degraded: {WHY}" in followed
    assert "PUT /v1/aliases/orvenna" in followed
    assert f"ingrain ask {adapter_id}" in followed
