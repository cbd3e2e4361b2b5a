"""What the supervisor keeps in files: its lock, its parts' logs, the broker's socket."""

import os
import stat
from pathlib import Path

import pytest

from app.errors import ConfigurationError
from app.settings import Settings
from app.supervisor.broker import socket_path
from app.supervisor.lock import HomeLock, running_url
from app.supervisor.logs import last_lines, last_progress, rotate


def test_the_lock_tells_who_holds_it_and_where(home: Path) -> None:
    (home / "run").mkdir()
    assert running_url(home) is None
    first = HomeLock(home)
    first.acquire("http://127.0.0.1:1234")
    assert running_url(home) == "http://127.0.0.1:1234"
    with pytest.raises(ConfigurationError, match=rf"{os.getpid()}.*http://127.0.0.1:1234"):
        HomeLock(home).acquire("http://127.0.0.1:5678")
    first.release()
    assert running_url(home) is None
    HomeLock(home).acquire("http://127.0.0.1:5678")


def test_a_lock_that_a_dead_process_left_names_no_service(home: Path) -> None:
    (home / "run").mkdir()
    (home / "run" / "up.lock").write_text('{"pid": 999999999, "url": "http://127.0.0.1:1"}')
    assert running_url(home) is None


def test_a_large_log_is_moved_aside_while_it_is_written(tmp_path: Path) -> None:
    log = tmp_path / "engine.log"
    with log.open("ab", buffering=0) as writer:
        writer.write(b"old\n" * 100)
        rotate(log, largest=100)
        writer.write(b"new\n")
    assert log.read_bytes() == b"new\n"
    assert (tmp_path / "engine.log.1").read_bytes() == b"old\n" * 100
    rotate(log, largest=100)
    assert log.read_bytes() == b"new\n"


def test_last_lines_are_those_since_the_last_start(tmp_path: Path) -> None:
    log = tmp_path / "engine.log"
    log.write_text("before\none\ntwo\nthree\n")
    assert last_lines(log, 2) == "two\nthree"
    assert last_lines(log, since=len("before\n")) == "one\ntwo\nthree"
    assert last_lines(tmp_path / "none.log") == ""


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("(EngineCore pid=7) INFO 11-25 19:05:51 [default_loader.py:9] Loading took 3 s", "Loading took 3 s"),
        (
            "INFO 11-25 19:05:51 [model_runner.py:9] Graph capturing finished in 5 secs",
            "Graph capturing finished in 5 secs",
        ),
        ("WARNING 11-25 19:05:51 [vllm.py:7] Model Runner V2 requires Triton; using the V1 model runner instead.", ""),
        ("WARNING 11-25 19:05:51 [api_router.py:3] LoRA dynamic loading & unloading is enabled in the API server.", ""),
        ("INFO:     Started server process [7]", "Started server process [7]"),
        ("INFO:     Application startup complete.", "Application startup complete."),
        ("2026-11-25 19:05:51 Starting vLLM server", "Starting vLLM server"),
        ("Loading shards: 50%", "Loading shards: 50%"),
        ("Compiling " + "x" * 200, "Compiling " + "x" * 110),
    ],
)
def test_the_last_message_is_shown_where_it_tells_of_progress(tmp_path: Path, line: str, message: str) -> None:
    log = tmp_path / "engine.log"
    log.write_text(f"before\n{line}\n\n-----\n")
    assert last_progress(log) == message
    assert last_progress(log, since=log.stat().st_size) == ""


def test_the_brokers_socket_fits_into_an_address(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    assert socket_path(settings) == settings.home / "run" / "broker.sock"
    long = settings.model_copy(update={"home": settings.home / ("x" * 200)})
    found = socket_path(long)
    assert found == socket_path(long)
    assert len(os.fsencode(found)) < 104
    assert stat.S_IMODE(found.parent.stat().st_mode) == 0o700
    found.parent.chmod(0o755)
    with pytest.raises(ConfigurationError, match="not a private folder"):
        socket_path(long)
    found.parent.rmdir()
