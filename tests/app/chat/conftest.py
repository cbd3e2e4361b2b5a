"""A real engine in a process of its own, with a tiny base model, and a service that uses it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from app.settings import get_settings
from tests.app.conftest import finish, post, serving
from tests.tiny import NAME, EmbeddedEngine, make_adapter, make_base

KEY = "engine-key"
LENGTH = 256


@dataclass(frozen=True)
class Engine:
    """A running engine, and an adapter for its base model."""

    url: str
    adapter: Path

    def call(self, method: str, path: str, **body: str) -> httpx.Response:
        headers = {"Authorization": f"Bearer {KEY}"}
        answer = httpx.request(method, f"{self.url}{path}", json=body or None, headers=headers)
        return answer.raise_for_status()


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """The embedded engine, started as an installation starts it."""
    folder = tmp_path_factory.mktemp("engine")
    base = make_base(folder / "base")
    server = EmbeddedEngine(base, ("--max-model-len", str(LENGTH)), {"INGRAIN_ENGINE_API_KEY": KEY})
    server.start()
    yield Engine(server.url, make_adapter(base, folder / "adapter"))
    assert server.stop() == 0


@pytest.fixture
def chat_api(sqlite_database: str, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[httpx.Client]:
    """A client of the service with the engine behind it."""
    monkeypatch.setenv("INGRAIN_ENGINE_URL", engine.url)
    monkeypatch.setenv("INGRAIN_ENGINE_API_KEY", KEY)
    monkeypatch.setenv("INGRAIN_BASE_MODEL", NAME)
    get_settings.cache_clear()
    with serving(get_settings()) as client:
        yield client


@pytest.fixture
def ready(chat_api: httpx.Client, engine: Engine, tmp_path: Path) -> str:
    """The id of a ready adapter, whose alias is `orvenna`. The engine has not loaded it."""
    taken = post(chat_api, alias="orvenna")
    finish(taken, tmp_path, engine.adapter)
    adapter_id: str = taken["adapter"]["id"]
    return adapter_id
