"""An engine that is full, and one that dies in the middle of an answer, as OpenAI's client sees them."""

import json
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam

from app.settings import get_settings
from tests.app.conftest import serving
from tests.tiny import NAME, EmbeddedEngine, make_base

QUESTION: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Who built it?"}]


@pytest.fixture
def small_engine(tmp_path: Path) -> Iterator[EmbeddedEngine]:
    """An engine that writes one answer at a time, with room for two more to wait. The test may kill it."""
    server = EmbeddedEngine(make_base(tmp_path / "base"), ("--max-num-seqs", "1", "--max-queue", "2"))
    server.start()
    yield server
    if server.process and server.process.poll() is None:
        server.stop()


@pytest.fixture
def client(
    sqlite_database: str, small_engine: EmbeddedEngine, monkeypatch: pytest.MonkeyPatch
) -> Iterator[openai.OpenAI]:
    monkeypatch.setenv("INGRAIN_ENGINE_URL", small_engine.url)
    monkeypatch.setenv("INGRAIN_BASE_MODEL", NAME)
    get_settings.cache_clear()
    with serving(get_settings()) as api:
        with openai.OpenAI(base_url=f"{api.base_url}/v1", api_key="none", max_retries=0) as client:
            yield client


@contextmanager
def crowded(server: EmbeddedEngine) -> Iterator[None]:
    """Six others who ask for long answers, again and again."""
    done = threading.Event()
    body = {"model": NAME, "prompt": "Who", "max_tokens": 480, "ignore_eos": True}

    def crowd(_: int) -> None:
        while not done.is_set():
            httpx.post(f"{server.url}/v1/completions", json=body, timeout=60)

    with ThreadPoolExecutor(6) as pool:
        asking = [pool.submit(crowd, number) for number in range(6)]
        time.sleep(1)
        try:
            yield
        finally:
            done.set()
    for each in asking:
        each.result()


def ask_ten_times(client: openai.OpenAI) -> None:
    for _ in range(10):
        client.chat.completions.create(model=NAME, messages=QUESTION, max_tokens=1)


def error_of_a_broken_stream(client: openai.OpenAI, server: EmbeddedEngine) -> openai.APIError:
    """What the client says when the engine is killed in the middle; on a busy machine the answer may be faster."""
    unending: dict[str, Any] = {"top_k": 1, "temperature": 1}
    for _ in range(5):
        stream = client.chat.completions.create(
            model=NAME, messages=QUESTION, max_tokens=480, stream=True, extra_body=unending
        )
        assert next(stream).model == NAME
        server.stop(signal.SIGKILL)
        try:
            list(stream)
        except openai.APIError as error:
            return error
        server.start()
    raise AssertionError("the answer was always there before the engine was killed")


def test_full_and_dying_engines_are_told_apart(client: openai.OpenAI, small_engine: EmbeddedEngine) -> None:
    with crowded(small_engine), pytest.raises(openai.RateLimitError) as full:
        ask_ten_times(client)  # a place may come free just when we ask
    assert full.value.code == "engine_busy"
    assert int(full.value.response.headers["Retry-After"]) >= 1

    broken = error_of_a_broken_stream(client, small_engine)
    assert "broke off its answer" in broken.message
    assert broken.code == "engine_unavailable"

    with pytest.raises(openai.InternalServerError) as gone:
        client.chat.completions.create(model=NAME, messages=QUESTION)
    assert gone.value.status_code == 503


class Aborting(BaseHTTPRequestHandler):
    """Ends every answer as vLLM does when it has to drop it: in good order, with the finish reason `abort`."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        choice = {"index": 0, "finish_reason": "abort"}
        body = json.dumps({"id": "c", "choices": [choice | {"message": {"role": "assistant", "content": "It was"}}]})
        if asked.get("stream"):
            chunks = [choice | {"finish_reason": None, "delta": {"content": "It was"}}, choice | {"delta": {}}]
            body = "".join(f"data: {json.dumps({'id': 'c', 'choices': [chunk]})}\n\n" for chunk in chunks)
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_an_answer_that_the_engine_drops_is_no_answer(sqlite_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the engine cannot be made to do at will comes from a small server."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Aborting)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("INGRAIN_ENGINE_URL", f"http://127.0.0.1:{server.server_address[1]}")
    monkeypatch.setenv("INGRAIN_BASE_MODEL", NAME)
    get_settings.cache_clear()
    with serving(get_settings()) as api:
        with openai.OpenAI(base_url=f"{api.base_url}/v1", api_key="none", max_retries=0) as client:
            with pytest.raises(openai.InternalServerError, match="broke off its answer"):
                client.chat.completions.create(model=NAME, messages=QUESTION)
            stream = client.chat.completions.create(model=NAME, messages=QUESTION, stream=True)
            assert next(stream).choices[0].delta.content == "It was"
            with pytest.raises(openai.APIError, match="broke off its answer"):
                list(stream)
    server.shutdown()
    server.server_close()
