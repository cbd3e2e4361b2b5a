"""The embedded engine with a tiny base model and adapters of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.engine.slots import AdapterFiles
from benchmarks.random_adapters import make_adapters
from tests.tiny import EmbeddedEngine, make_base


@dataclass(frozen=True)
class Engine:
    """A running engine, its base model, and adapters that it has not loaded."""

    url: str
    base: Path
    adapters: tuple[AdapterFiles, ...]


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    folder = tmp_path_factory.mktemp("benchmarks")
    base = make_base(folder / "base")
    adapters = tuple(AdapterFiles(name, folder / name) for name in ("red", "blue", "green"))
    make_adapters(base, 8, [each.folder for each in adapters])
    server = EmbeddedEngine(base, ("--max-loras", "4", "--max-lora-rank", "8"))
    server.start()
    yield Engine(server.url, base, adapters)
    assert server.stop() == 0
