"""The commands, as processes, against a service that runs."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli import app
from tests.installation import Installation, running

TEXT = "# The harbour of Velm\n\nThe harbour was dug in 1742 by Ana Rook. It freezes each January, and ships wait.\n"


@pytest.fixture(scope="module")
def job(service: Installation, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The ids of a document that was taught, and of what came of it."""
    file = tmp_path_factory.mktemp("document") / "velm.md"
    file.write_text(TEXT)
    (taken,) = service.rows("inject", str(file), "--alias", "velm", "--set", "epochs=1", "--no-wait")
    return {kind: taken[kind]["id"] for kind in ("document", "adapter", "job")}


def test_models_lists_the_base_model(service: Installation) -> None:
    assert [row["id"] for row in service.rows("models")] == ["tiny"]
    assert "base model" in service.run("models").stdout


def test_documents_and_adapters_are_listed(service: Installation, job: dict[str, str]) -> None:
    document = next(row for row in service.rows("documents") if row["id"] == job["document"])
    assert document["title"] == "The harbour of Velm"
    adapter = next(row for row in service.rows("adapters") if row["id"] == job["adapter"])
    assert adapter["settings"]["epochs"] == 1
    assert "The harbour of Velm" in service.run("documents").stdout
    assert job["adapter"] in service.run("adapters").stdout
    assert job["document"] in service.run("adapters", job["adapter"]).stdout


def test_several_files_make_one_adapter(service: Installation, tmp_path: Path) -> None:
    for name in ("velm", "orvane"):
        (tmp_path / f"{name}.md").write_text(TEXT.replace("Velm", name.title()))
    files = [str(tmp_path / f"{name}.md") for name in ("velm", "orvane")]
    *posted, taken = service.rows("inject", *files, "--alias", "harbours", "--set", "epochs=1", "--no-wait")
    ids = [row["document"]["id"] for row in posted]
    assert [row["adapter"] for row in posted] == [None, None]
    adapter = next(row for row in service.rows("adapters") if row["id"] == taken["adapter"]["id"])
    assert [document["id"] for document in adapter["documents"]] == ids
    assert (adapter["alias"], adapter["settings"]["epochs"]) == ("harbours", 1)


def test_external_ids_are_shown_with_what_was_replaced(service: Installation) -> None:
    texts = (TEXT, TEXT.replace("1742", "1743"))
    first, _ = (service.rows("inject", "-", "--external-id", "harbour/7", "--no-wait", text=text)[0] for text in texts)
    shown = [line for line in service.run("documents").stdout.splitlines() if "harbour/7" in line]
    assert [line.rstrip().endswith("replaced") for line in shown] == [False, True]
    adapter = service.run("adapters", first["adapter"]["id"]).stdout
    assert f"{first['document']['id']}  The harbour of Velm  replaced" in adapter


def test_a_parent_that_cannot_be_gone_on_from_is_told(service: Installation) -> None:
    done = service.run("inject", "-", "--parent", "nobody", text=TEXT)
    assert done.returncode == 4
    assert "nobody does not exist" in done.stderr


def test_a_job_is_shown_followed_and_cancelled(service: Installation) -> None:
    (taken,) = service.rows("inject", "-", "--no-wait", text=TEXT)
    job_id = taken["job"]["id"]
    cancelled = service.run("jobs", job_id, "cancel")
    assert cancelled.returncode in {0, 4}, cancelled.stderr  # 4: it has failed already, on a model of random weights
    followed = service.run("jobs", job_id, "--follow", "--json")
    assert followed.returncode == 1
    *events, last = [json.loads(line) for line in followed.stdout.splitlines()]
    assert events[0]["type"] == "queued"
    assert events[-1]["type"] == last["status"]
    assert [event["number"] for event in events] == list(range(1, len(events) + 1))
    assert f"ingrain jobs {job_id} retry" in followed.stderr
    assert job_id in service.run("jobs").stdout
    assert last["status"] in service.run("jobs", job_id).stdout
    assert service.run("jobs", job_id, "retry").returncode == 0


def test_ask_answers_as_a_whole_and_in_pieces(service: Installation) -> None:
    words = ("ask", "tiny", "Who dug the harbour?", "--max-tokens", "8")
    (whole,) = service.rows(*words)
    assert whole["question"] == "Who dug the harbour?"
    pieces = service.rows(*words, "--stream")
    assert "".join(piece["delta"] for piece in pieces) == whole["answer"]
    assert service.run(*words).stdout == whole["answer"] + "\n"
    assert service.run(*words, "--stream").stdout == whole["answer"] + "\n"


def test_ask_shows_the_passages_that_retrieval_found(service: Installation, job: dict[str, str]) -> None:
    words = ("ask", "tiny", "Who dug the harbour?", "--max-tokens", "8", "--documents", job["document"])
    (whole,) = service.rows(*words, "--retrieval")
    (passage,) = whole["retrieval"]["passages"]
    assert passage["text"].startswith("The harbour was dug in 1742 by Ana Rook.")
    first, *rest = service.rows(*words, "--passages", "2", "--stream")
    assert first["retrieval"] == whole["retrieval"]
    assert not any("retrieval" in piece for piece in rest)
    assert "".join(piece["delta"] for piece in [first, *rest]) == whole["answer"]
    for options in ((), ("--stream",)):
        done = service.run(*words, *options)
        assert done.stdout == whole["answer"] + "\n"
        assert f"{job['document']}  The harbour of Velm: The harbour was dug" in done.stderr


def test_ask_with_retrieval_says_where_the_base_model_is_to_look(service: Installation) -> None:
    done = service.run("ask", "tiny", "Who dug the harbour?", "--retrieval")
    assert done.returncode == 4
    assert "name some" in done.stderr


def test_an_unknown_model_is_refused_with_the_way_out(service: Installation) -> None:
    done = service.run("ask", "nobody", "Who?")
    assert done.returncode == 4
    assert "'nobody' does not exist" in done.stderr
    assert done.stdout == ""


def test_a_document_that_cannot_be_taught_is_refused(service: Installation) -> None:
    done = service.run("inject", "-", text="word")
    assert done.returncode == 4
    assert "Traceback" not in done.stderr
    unknown = service.run("inject", "-", "--set", "speed=9", text=TEXT)
    assert unknown.returncode == 4
    assert "speed" in unknown.stderr


def test_ctrl_c_leaves_the_job_alone(service: Installation) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "app.cli", "inject", "-"],
        env=service.environment | {"PYTHONUNBUFFERED": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin
    assert process.stdout
    with service.worker_paused():
        process.stdin.write(TEXT)
        process.stdin.close()
        assert "The harbour of Velm" in process.stdout.readline()
        os.kill(process.pid, signal.SIGINT)
        assert "The job goes on" in process.stdout.read()
        assert process.wait() == 130


def test_without_a_service_the_way_to_start_it_is_said(nothing: Installation) -> None:
    done = nothing.run("models")
    assert done.returncode == 3
    assert "Start the service with: ingrain up" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("inject", "/no/such/file"), "No such file"),
        (("inject", "-", "--set", "epochs"), "KEY=VALUE"),
        (("inject", __file__, __file__, "--title", "Two"), "--title and --external-id are for one FILE"),
        (("inject", "-", "--effort", "huge"), "quick"),
        (("demo", "--document", __file__), "--questions"),
        (("demo", "--questions", __file__), "does not hold questions"),
        (("jobs", "job_1", "explode"), "cancel"),
    ],
)
def test_wrong_usage_is_explained(nothing: Installation, words: tuple[str, ...], reason: str) -> None:
    done = nothing.run(*words, text=TEXT)
    assert done.returncode == 2
    assert reason in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["up", "engine"])
def test_vllm_that_is_not_there_is_named_before_anything_starts(nothing: Installation, command: str) -> None:
    nothing.extra["INGRAIN_VLLM_PYTHON"] = "/nowhere/python"
    done = nothing.run(command, "--engine", "vllm")
    assert done.returncode == 2
    assert "/nowhere/python (INGRAIN_VLLM_PYTHON) cannot be run" in done.stderr
    assert not (nothing.home / "logs" / "base-model.log").exists()


def test_an_engine_to_start_beside_one_that_runs_is_refused(nothing: Installation) -> None:
    nothing.extra = {"INGRAIN_VLLM_URLS": "http://127.0.0.1:9,http://127.0.0.1:10"}
    done = nothing.run("up", "--engine", "vllm", "--port", "0")
    assert done.returncode == 2
    assert "runs already is named (http://127.0.0.1:9, http://127.0.0.1:10)" in done.stderr
    assert "INGRAIN_VLLM_URLS" in done.stderr


def test_a_wrong_setting_is_named(nothing: Installation) -> None:
    nothing.extra["INGRAIN_PORT"] = "many"
    done = nothing.run("models")
    assert done.returncode == 2
    assert "INGRAIN_PORT" in done.stderr


def test_a_key_is_asked_for_and_taken(nothing: Installation) -> None:
    nothing.extra = {"INGRAIN_API_KEYS": "one,two"}
    with running(nothing):
        assert nothing.run("models").returncode == 0
        nothing.extra = {"INGRAIN_API_KEY": "wrong"}
        refused = nothing.run("models")
        assert refused.returncode == 4
        assert "INGRAIN_API_KEY" in refused.stderr


@pytest.mark.parametrize("command", [command.callback for command in app.registered_commands])
def test_every_command_has_a_help_that_begins_with_a_sentence(command: Callable[..., None]) -> None:
    sentence = (command.__doc__ or "").splitlines()[0]
    assert sentence.endswith(".")
    shown = CliRunner().invoke(app, [command.__name__, "--help"], prog_name="ingrain")
    assert shown.exit_code == 0
    assert f"Usage: ingrain {command.__name__}" in shown.stdout
    assert sentence.split()[0] in shown.stdout
