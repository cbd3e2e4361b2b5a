"""The engine under test (embedded, or vLLM under `make test-vllm`), its base model and two adapters of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.engine.dialects import DIALECT
from tests.tiny import NAME, EngineServer, make_adapter, make_base

MAX_RANK = 16
MAX_LENGTH = 256


@dataclass
class Engine:
    """An engine by its URL, with what the suite knows of it."""

    url: str
    name: str
    base: Path
    red: Path
    blue: Path
    server: EngineServer
    http: httpx.Client

    def post(self, path: str, **body: Any) -> httpx.Response:
        return self.http.post(path, json=body)

    def complete(self, prompt: Any, *, model: str = NAME, **more: Any) -> dict[str, Any]:
        """A greedy completion."""
        asked = {"temperature": 0, "max_tokens": 12, **more}
        response = self.post("/v1/completions", model=model, prompt=prompt, **asked)
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return answer

    def text(self, prompt: Any, **more: Any) -> str:
        text: str = self.complete(prompt, **more)["choices"][0]["text"]
        return text

    def tokens(self, prompt: Any, **more: Any) -> list[int]:
        """The tokens of a greedy completion: a tiny model writes half characters, which a text may not show."""
        tokens: list[int] = self.complete(prompt, return_token_ids=True, **more)["choices"][0]["token_ids"]
        return tokens

    def chat(self, content: str, *, model: str = NAME, **more: Any) -> dict[str, Any]:
        messages = [{"role": "user", "content": content}]
        body = {"model": model, "messages": messages, "temperature": 0, "max_tokens": 12, **more}
        response = self.post("/v1/chat/completions", **body)
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return answer

    def load(self, name: str, folder: Path) -> None:
        response = self.post("/v1/load_lora_adapter", lora_name=name, lora_path=str(folder))
        assert response.status_code == 200, response.text

    def unload(self, name: str) -> None:
        assert self.post("/v1/unload_lora_adapter", lora_name=name).status_code == 200

    def models(self) -> list[dict[str, Any]]:
        listed: list[dict[str, Any]] = self.http.get("/v1/models").json()["data"]
        return listed


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The base model, two adapters of it, one of too high a rank, and one of another base model."""
    root = tmp_path_factory.mktemp("tiny")
    base = make_base(root / "base")
    wide = make_base(root / "wide", hidden=96)
    return {
        "base": base,
        "red": make_adapter(base, root / "red", seed=1),
        "blue": make_adapter(base, root / "blue", rank=4, seed=2),
        "high": make_adapter(base, root / "high", rank=2 * MAX_RANK),
        "foreign": make_adapter(wide, root / "foreign"),
    }


@pytest.fixture(scope="session")
def _engine(folders: dict[str, Path]) -> Iterator[Engine]:
    arguments = ("--max-lora-rank", str(MAX_RANK), "--max-model-len", str(MAX_LENGTH), "--max-num-seqs", "8")
    server = DIALECT.server(folders["base"], (*arguments, *DIALECT.arguments))
    server.start()
    with httpx.Client(base_url=server.url, timeout=60) as http:
        yield Engine(server.url, NAME, folders["base"], folders["red"], folders["blue"], server, http)
    assert server.stop() == 0


@pytest.fixture
def engine(_engine: Engine) -> Iterator[Engine]:
    """A running engine without adapters."""
    yield _engine
    for model in _engine.models():
        if model["parent"]:
            _engine.unload(model["id"])


@pytest.fixture
def loaded(engine: Engine) -> Engine:
    """The engine with the adapters red and blue."""
    engine.load("red", engine.red)
    engine.load("blue", engine.blue)
    return engine
