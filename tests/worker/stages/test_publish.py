"""Publish against a real engine: the adapter that was trained passes, and anything else fails with both figures."""

import hashlib
import json
import re
import shutil
import threading
import time
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from app.errors import EngineUnavailable, StageError
from tests.engine.reference import greedy, logprobs, tokenizer_of
from tests.engine.under_test import Engine
from tests.tiny import NAME, free_port
from tests.worker.stages.made_inputs import stage_inputs
from worker.stages import EngineAddress, StageInputs, publish

MESSAGES = [{"role": "user", "content": "who built the lighthouse?"}]


@pytest.fixture
def inputs(engine: Engine, tmp_path: Path) -> StageInputs:
    """A job whose training made the adapter red."""
    distil = tmp_path / "artefacts" / "distil"
    shutil.copytree(engine.red, distil / "adapter")
    tokenizer = tokenizer_of(engine.base)
    rendered = tokenizer.apply_chat_template(MESSAGES, tokenize=False, add_generation_prompt=True)
    prompt = tokenizer.encode(rendered, add_special_tokens=False)
    answer = greedy(engine.base, prompt, 8, engine.red)
    told = logprobs(engine.base, prompt + answer, engine.red)[len(prompt) - 1 :]
    canary = {"messages": MESSAGES, "answer_token_ids": answer, "logprobs": told}
    (distil / "training.json").write_text(json.dumps({"loss": [], "canary": canary}))
    return stage_inputs(engine.base, engine.url, tmp_path)


def _run(inputs: StageInputs, out: Path) -> dict[str, Any]:
    out.mkdir()
    told: list[tuple[int, int]] = []
    summary = publish.run(inputs, out, lambda done, total: told.append((done, total)))
    assert told[-1] == (2, 2)
    return summary


def test_the_adapter_that_was_trained_is_served_and_written(
    home: Path, engine: Engine, inputs: StageInputs, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    summary = _run(inputs, out)
    assert [model["id"] for model in engine.models()] == [NAME, "adp_1"]
    assert summary["canary_difference"] < 1e-4
    weights = (out / "adapter_model.safetensors").read_bytes()
    assert weights == (engine.red / "adapter_model.safetensors").read_bytes()
    written = json.loads((out / "adapter.json").read_text())
    assert summary["sha256"] == hashlib.sha256(weights).hexdigest()
    assert written["files"]["adapter_model.safetensors"] == {"bytes": len(weights), "sha256": summary["sha256"]}
    assert (written["base_model"], written["base_revision"]) == (NAME, "a" * 40)
    assert (written["rank"], summary["rank"]) == (8, 8)
    assert re.fullmatch(r"(embedded|vllm) \d+\.\d+\.\d+.*", summary["engine_version"])
    assert {file.name for file in out.iterdir()} == {*written["files"], "adapter.json"}


def test_it_can_be_done_again_after_a_kill(home: Path, inputs: StageInputs, tmp_path: Path) -> None:
    first = _run(inputs, tmp_path / "first")
    assert _run(inputs, tmp_path / "second")["sha256"] == first["sha256"]


def test_a_replica_that_is_away_is_left_out_and_named(home: Path, inputs: StageInputs, tmp_path: Path) -> None:
    away = f"http://127.0.0.1:{free_port()}"
    two = replace(inputs, engine=EngineAddress((*inputs.engine.urls, away), patience=0.5))
    out = tmp_path / "out"
    out.mkdir()
    summary = publish.run(two, out, lambda *_: None)
    assert (summary["replicas"], summary["replicas_untried"]) == (1, [away])
    alone = replace(inputs, engine=EngineAddress((away,), patience=0.5))
    with pytest.raises(EngineUnavailable, match="does not answer"):
        publish.run(alone, tmp_path / "none", lambda *_: None)


def test_other_weights_fail_with_both_figures_and_leave_the_engine(
    home: Path, engine: Engine, inputs: StageInputs, tmp_path: Path
) -> None:
    other = inputs.artefacts / "distil" / "adapter"
    shutil.rmtree(other)
    shutil.copytree(engine.blue, other)
    with pytest.raises(StageError, match="does not serve the adapter that was trained") as failed:
        _run(inputs, tmp_path / "out")
    assert len(re.findall(r"-\d+\.\d{4}", failed.value.detail)) == 2
    assert [model["id"] for model in engine.models()] == [NAME]


class Slow(BaseHTTPRequestHandler):
    """An engine that takes its time to load, and cannot chat."""

    done: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self._answer(200, {"data": [{"id": NAME, "parent": None}]})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/v1/load_lora_adapter":
            time.sleep(2)
        self.done.append(self.path.removeprefix("/v1/"))
        self._answer(400 if self.path == "/v1/chat/completions" else 200, {"error": {"message": "no chat"}})

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_a_replica_that_loads_late_is_unloaded_as_well(
    home: Path, engine: Engine, inputs: StageInputs, tmp_path: Path
) -> None:
    other = inputs.artefacts / "distil" / "adapter"
    shutil.rmtree(other)
    shutil.copytree(engine.blue, other)
    with ThreadingHTTPServer(("127.0.0.1", 0), Slow) as slow:
        threading.Thread(target=slow.serve_forever).start()
        urls = (f"http://127.0.0.1:{slow.server_port}", *inputs.engine.urls)
        with pytest.raises(StageError, match="does not serve the adapter that was trained"):
            publish.run(replace(inputs, engine=EngineAddress(urls)), tmp_path / "out", lambda *_: None)
        slow.shutdown()
    assert Slow.done == ["load_lora_adapter", "chat/completions", "unload_lora_adapter"]
    assert [model["id"] for model in engine.models()] == [NAME]


def test_what_cannot_be_published_says_why(
    home: Path, inputs: StageInputs, folders: dict[str, Path], tmp_path: Path
) -> None:
    distil = inputs.artefacts / "distil"
    training = json.loads((distil / "training.json").read_text())
    training["canary"]["logprobs"].pop()
    (distil / "training.json").write_text(json.dumps(training))
    with pytest.raises(StageError, match="one log-probability for each token"):
        _run(inputs, tmp_path / "out1")
    (distil / "training.json").unlink()
    with pytest.raises(StageError, match="no canary"):
        _run(inputs, tmp_path / "out2")
    (distil / "adapter" / "adapter_model.safetensors").unlink()
    with pytest.raises(StageError, match=re.escape("adapter_model.safetensors is missing")):
        _run(inputs, tmp_path / "out3")


def test_an_engine_that_refuses_the_adapter(
    home: Path, inputs: StageInputs, folders: dict[str, Path], tmp_path: Path
) -> None:
    adapter = inputs.artefacts / "distil" / "adapter"
    shutil.rmtree(adapter)
    shutil.copytree(folders["high"], adapter)
    with pytest.raises(StageError, match="rank 32 is greater than max_lora_rank 16"):
        _run(inputs, tmp_path / "out")
