"""The engine as a process: keys, restarts in mid-service, a full queue, a stop, and the death of its parent."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest

from app.engine.client import EngineClient
from app.engine.engines import Engines
from app.engine.slots import AdapterFiles
from app.errors import EngineUnavailable
from tests.tiny import EmbeddedEngine, free_port

ASK = {"model": "tiny", "prompt": "the lighthouse", "max_tokens": 8, "temperature": 0, "ignore_eos": True}


@pytest.fixture
def server(folders: dict[str, Path]) -> EmbeddedEngine:
    """An engine of this test alone, not started yet; it asks for a key and has a short queue."""
    arguments = ("--max-num-seqs", "2", "--max-queue", "3", "--max-model-len", "256")
    return EmbeddedEngine(folders["base"], arguments, {"INGRAIN_ENGINE_API_KEY": "secret"})


def test_it_serves_through_a_restart_and_asks_for_its_key(server: EmbeddedEngine, folders: dict[str, Path]) -> None:
    server.start()
    assert httpx.get(f"{server.url}/v1/models").status_code == 401
    assert httpx.get(f"{server.url}/v1/models", headers={"Authorization": "Bearer wrong"}).status_code == 401
    assert httpx.get(f"{server.url}/health").status_code == 200

    async def through_a_restart() -> None:
        async with Engines([server.url], "secret", slots=2) as engines:
            red = AdapterFiles("red", folders["red"])
            chat = {"messages": [{"role": "user", "content": "who?"}], "max_tokens": 5, "temperature": 0}
            before = await engines.chat(chat, red)
            await asyncio.to_thread(server.stop, signal.SIGKILL)
            asked = asyncio.ensure_future(engines.chat(chat, red))
            await asyncio.sleep(0)
            await asyncio.to_thread(server.start)
            after = await asked
            assert after["choices"][0]["message"] == before["choices"][0]["message"]

    asyncio.run(through_a_restart())
    _refuses_when_its_queue_is_full(server)
    _ends_within_seconds_in_the_middle_of_an_answer(server)


def _refuses_when_its_queue_is_full(server: EmbeddedEngine) -> None:
    headers = {"Authorization": "Bearer secret"}
    statuses: list[int] = []

    def ask() -> None:
        body = {**ASK, "max_tokens": 60, "n": 2, "temperature": 1}
        answer = httpx.post(f"{server.url}/v1/completions", json=body, headers=headers, timeout=60)
        statuses.append(answer.status_code)
        assert answer.status_code == 200 or answer.headers["retry-after"]

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(statuses) == {200, 429}
    assert httpx.post(f"{server.url}/v1/completions", json=ASK, headers=headers).status_code == 200


def _ends_within_seconds_in_the_middle_of_an_answer(server: EmbeddedEngine) -> None:
    headers = {"Authorization": "Bearer secret"}
    body = {**ASK, "max_tokens": 250, "stream": True}
    with httpx.stream("POST", f"{server.url}/v1/completions", json=body, headers=headers, timeout=30) as answer:
        next(answer.iter_raw())
        started = time.monotonic()
        assert server.stop() == 0
    assert time.monotonic() - started < 8


def test_nobody_there_is_unavailable() -> None:
    async def ask() -> None:
        async with EngineClient(f"http://127.0.0.1:{free_port()}") as client:
            await client.complete(ASK)

    with pytest.raises(EngineUnavailable, match="does not answer"):
        asyncio.run(ask())


def test_it_dies_with_its_parent(folders: dict[str, Path], tmp_path: Path) -> None:
    port = free_port()
    command = [sys.executable, "-m", "worker.engine", "--model", str(folders["base"]), "--port", str(port)]
    start = f"print(subprocess.Popen({[*command, '--die-with-parent']!r}).pid, flush=True)"
    script = f"import subprocess, time; {start}; time.sleep(60)"
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    time.sleep(2)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 30
    while Path(f"/proc/{child}").exists() and _running(child):
        assert time.monotonic() < deadline, "the engine outlived its parent"
        time.sleep(0.1)


def _running(process: int) -> bool:
    try:
        os.kill(process, 0)
        return "Z" not in Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except (ProcessLookupError, FileNotFoundError):
        return False
