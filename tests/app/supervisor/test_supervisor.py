"""`ingrain up` on real parts: it comes up, heals, and goes down without a trace, however it ends."""

import os
import signal
import socket
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from app.settings import Settings
from app.supervisor import supervisor as supervising
from app.supervisor.notices import Notice
from app.supervisor.part import Part
from app.supervisor.plan import why_not_ready
from app.supervisor.ports import free_port
from app.supervisor.supervisor import Supervisor
from tests.installation import Installation, Up, installed, running, wait_until

PARTS = ("valkey-server", "worker.engine", "worker.main", "app.cli api")


@pytest.fixture
def installation() -> Iterator[Installation]:
    with installed() as found:
        yield found


def test_up_heals_and_ends_without_a_trace(installation: Installation) -> None:
    with running(installation) as up:
        assert httpx.get(f"{installation.url}/readyz").status_code == 200
        assert stat.S_IMODE(installation.home.stat().st_mode) == 0o700
        pids = {words: installation.process_of(words) for words in PARTS}
        assert all(pids.values()), pids

        second = installation.run("up", "--port", "0")
        assert second.returncode == 2
        assert str(up.process.pid) in second.stderr
        assert installation.url in second.stderr

        broker, worker = pids["valkey-server"], pids["worker.main"]
        assert broker
        assert worker
        os.kill(broker, signal.SIGKILL)
        os.kill(worker, signal.SIGKILL)
        assert up.wait_for("died")["part"] in {"broker", "worker"}
        wait_until(lambda: installation.process_of("valkey-server") not in {broker, None}, "another broker")
        wait_until(lambda: installation.process_of("worker.main") not in {worker, None}, "another worker")
        wait_until(lambda: httpx.get(f"{installation.url}/readyz").status_code == 200, "ready again")

        assert up.end() == 0
        assert installation.processes() == {}


# Answers GET with the status that its folder's file tells; without the file it waits, as a part that hangs does.
SERVER = """
import http.server, pathlib, sys, time
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        while not pathlib.Path("status").exists():
            time.sleep(1)
        self.send_response(int(pathlib.Path("status").read_text()))
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


@pytest.mark.parametrize(("status", "complaint"), [("500", "it answers with 500"), (None, "no answer yet")])
def test_a_part_that_runs_but_does_not_work_is_started_again(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: str | None, complaint: str
) -> None:
    monkeypatch.setattr(supervising, "_LOOK_SECONDS", 0.1)
    monkeypatch.setattr(supervising, "_IDLE_SECONDS", 0.5)
    monkeypatch.chdir(tmp_path)
    port, file, notices = free_port(), tmp_path / "status", []
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-c", SERVER, str(port)]
    part = Part("engine", command, os.environ, url, tmp_path / "log", check_life=lambda: why_not_ready(url))
    until = time.monotonic() + 60

    def tell(notice: Notice) -> None:
        notices.append(notice)
        if notice.event == "restarting":
            file.write_text("200")

    def is_done() -> bool:
        assert time.monotonic() < until, notices
        if part.has_worked and not notices:
            file.write_text(status) if status else file.unlink(missing_ok=True)
        return part.has_worked and len(notices) == 2

    supervisor = Supervisor(settings, tell, is_done)
    supervisor.parts = [part]
    file.write_text("200")
    part.start()
    first = part.pid
    try:
        supervisor.watch()
        assert part.pid not in {first, None}
    finally:
        part.kill()
    assert [notice.event for notice in notices] == ["died", "restarting"]
    assert "The engine did not work for" in notices[0].message
    assert f": {complaint}; it starts again in 1 s" in notices[0].message


def test_state_survives_and_nothing_survives_sigkill(installation: Installation) -> None:
    # Longer than the path of a socket may be, and with letters that mean something in URLs.
    installation.home = installation.home / ("long folder %41 " * 8).strip()
    text = "The harbour of Velm was dug in 1742 by Ana Rook, and freezes each January."
    with running(installation) as up:
        taken = installation.run("inject", "-", "--title", "Velm", "--no-wait", text=text)
        assert taken.returncode == 0, taken.stderr
        up.process.kill()
        up.process.wait()
        wait_until(lambda: not installation.processes(), "the parts end with the supervisor", 10)
    with running(installation) as up:
        assert [row["title"] for row in installation.rows("documents")] == ["Velm"]
        assert up.end(signal.SIGHUP) == 0  # the terminal was closed
    assert installation.processes() == {}


def test_a_part_that_cannot_start_is_named_with_its_last_words(installation: Installation) -> None:
    (installation.model / "model.safetensors").write_bytes(b"not a model")
    done = installation.run("up", "--port", "0", seconds=120)
    assert done.returncode == 1
    assert "The engine ended with status" in done.stdout
    assert "engine.log" in done.stdout
    assert installation.processes() == {}


def test_a_port_that_is_taken_is_refused_before_anything_starts(installation: Installation) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = installation.run("up", "--port", str(port))
    assert done.returncode == 2
    assert f"Port {port} of 127.0.0.1 is taken" in done.stderr
    assert not (installation.home / "broker").exists()
    assert installation.processes() == {}


def test_beyond_this_machine_keys_are_needed(installation: Installation) -> None:
    done = installation.run("up", "--host", "0.0.0.0", "--port", "0")
    assert done.returncode == 2
    assert "INGRAIN_API_KEYS" in done.stderr
    assert not installation.home.exists()


def test_a_base_model_that_does_not_exist_is_named(installation: Installation) -> None:
    installation.extra["INGRAIN_BASE_MODEL"] = "/nowhere/at-all"
    done = installation.run("up", "--port", "0")
    assert done.returncode == 2
    assert "/nowhere/at-all" in done.stderr
    assert "Traceback" not in done.stderr


def test_ctrl_c_before_it_is_ready_ends_all(installation: Installation) -> None:
    up = Up(installation, "--port", "0")
    up.wait_for("waiting")
    started = time.monotonic()
    assert up.end(signal.SIGINT) == 0
    assert time.monotonic() - started < 20
    assert installation.processes() == {}
