"""Sleep: the engine gives its memory back, answers nothing meanwhile, and wakes as the same."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.engine.dialects import on_embedded
from tests.engine.under_test import Engine
from tests.tiny import EmbeddedEngine

LONG = {"model": "tiny", "prompt": "the comet", "max_tokens": 200, "temperature": 0, "ignore_eos": True}
SHORT = {**LONG, "max_tokens": 8}


@pytest.fixture
def waking(loaded: Engine) -> Iterator[Engine]:
    """The engine with two adapters, which is awake again after the test."""
    yield loaded
    assert loaded.post("/wake_up").status_code == 200


def asleep(engine: Engine) -> bool:
    return bool(engine.http.get("/is_sleeping").json()["is_sleeping"])


def test_it_wakes_with_the_same_answers_bit_for_bit(waking: Engine) -> None:
    prompt = f"the island of Korvath {time.time()}"  # known to no prefix cache, before or after

    def answers() -> list[object]:
        return [waking.complete(prompt, model=model, logprobs=3)["choices"] for model in ("tiny", "red", "blue")]

    before = answers()
    assert before[0] != before[1] != before[2]
    assert waking.http.post("/sleep?level=1&mode=wait").json() == {"status": "sleeping", "level": 1}
    assert asleep(waking)
    assert waking.http.get("/health").status_code == 200
    assert waking.http.post("/wake_up").json() == {"status": "awake", "tags": None}
    assert not asleep(waking)
    assert answers() == before
    assert [model["id"] for model in waking.models()] == ["tiny", "red", "blue"]


@on_embedded("vLLM keeps what comes until it wakes; the service asks it before it sends anything")
def test_asleep_it_refuses_what_needs_the_model_and_says_until_when(waking: Engine) -> None:
    waking.http.post("/sleep")
    chat = {"model": "red", "messages": [{"role": "user", "content": "who?"}]}
    for path, body in (
        ("/v1/completions", SHORT),
        ("/v1/completions", {**SHORT, "stream": True}),
        ("/v1/chat/completions", chat),
        ("/v1/load_lora_adapter", {"lora_name": "new", "lora_path": str(waking.red)}),
        ("/v1/unload_lora_adapter", {"lora_name": "red"}),
    ):
        answer = waking.post(path, **body)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "30"), path
        error = answer.json()["error"]
        assert (error["type"], error["code"]) == ("EngineAsleep", 503)
        assert "/wake_up" in error["message"]
    assert len(waking.models()) == 3
    assert waking.post("/tokenize", prompt="the comet").status_code == 200


def test_to_sleep_or_wake_twice_changes_nothing(waking: Engine) -> None:
    before = waking.complete("the year")["choices"]
    for path in ("/wake_up", "/sleep", "/sleep?mode=wait", "/wake_up", "/wake_up"):
        assert waking.http.post(path).status_code == 200
    assert waking.complete("the year")["choices"] == before


@on_embedded("vLLM has further levels and modes, which nobody here asks for")
def test_only_what_can_be_woken_is_done(engine: Engine) -> None:
    for query in ("level=2", "level=0", "mode=keep"):
        answer = engine.http.post(f"/sleep?{query}")
        assert answer.status_code == 400
        assert answer.json()["error"]["param"] == query.partition("=")[0]
    assert not asleep(engine)


def test_answers_in_progress_end_before_it_sleeps(waking: Engine) -> None:
    ended: dict[str, float] = {}

    def sleep() -> None:
        assert waking.http.post("/sleep?mode=wait", timeout=30).status_code == 200
        ended["sleep"] = time.monotonic()

    with waking.http.stream("POST", "/v1/completions", json={**LONG, "stream": True}) as stream:
        lines = stream.iter_lines()
        next(lines)
        thread = threading.Thread(target=sleep)
        thread.start()
        while not asleep(waking):
            time.sleep(0.001)
        rest = list(lines)
        ended["answer"] = time.monotonic()
    thread.join()
    assert rest[-2] == "data: [DONE]"
    assert json.loads(rest[-4].removeprefix("data: "))["choices"][0]["finish_reason"] == "length"
    assert ended["answer"] - 0.5 < ended["sleep"]


def once_in_time(attempt: Callable[[], bool]) -> bool:
    """Whether an attempt succeeds: on a busy machine an answer may have ended before the next request arrives."""
    return any(attempt() for _ in range(10))


@on_embedded("vLLM ends a broken-off answer in good order, with the finish_reason abort")
def test_answers_in_progress_can_be_broken_off(waking: Engine) -> None:
    def is_broken_off() -> bool:
        with waking.http.stream("POST", "/v1/completions", json={**LONG, "stream": True}) as stream:
            lines = stream.iter_lines()
            next(lines)
            waiting = threading.Thread(target=lambda: waking.http.post("/sleep?mode=wait", timeout=30))
            waiting.start()
            assert waking.http.post("/sleep?mode=abort", timeout=30).status_code == 200
            waiting.join()
            said = "".join(lines)
        assert waking.post("/wake_up").status_code == 200
        return '"EngineAsleep"' in said

    assert once_in_time(is_broken_off)


@on_embedded("vLLM falls asleep nevertheless, once it is idle")
def test_who_wakes_an_engine_that_is_about_to_sleep_is_heard(waking: Engine) -> None:
    def is_heard() -> bool:
        statuses: list[int] = []
        with waking.http.stream("POST", "/v1/completions", json={**LONG, "stream": True}) as stream:
            lines = stream.iter_lines()
            next(lines)
            thread = threading.Thread(
                target=lambda: statuses.append(waking.http.post("/sleep?mode=wait", timeout=30).status_code)
            )
            thread.start()
            while not asleep(waking):
                time.sleep(0.001)
            assert waking.http.post("/wake_up").status_code == 200
            thread.join()
            assert waking.post("/v1/completions", **SHORT).status_code == 200
            assert "data: [DONE]" in list(lines)
        return statuses == [503]

    assert once_in_time(is_heard)


@on_embedded("vLLM's build for CPUs keeps its memory")
def test_its_memory_is_free_while_it_sleeps(folders: dict[str, Path]) -> None:
    """On a CPU that is keys and values: 64 rows of 400 tokens at 1 KiB, and as much in the prefix cache."""
    server = EmbeddedEngine(folders["base"], ("--max-num-seqs", "64", "--max-model-len", "512"))
    server.start()
    with httpx.Client(base_url=server.url, timeout=60) as http:
        prompts = [[5 + row, *range(10, 290), *range(10, 120)] for row in range(64)]
        asked = {**LONG, "max_tokens": 100, "prompt": prompts}
        before = http.post("/v1/completions", json=asked).json()["choices"]
        awake = _memory_mib(server)
        http.post("/sleep")
        freed = awake - _memory_mib(server)
        assert freed > 25, f"{freed:.1f} of {awake:.1f} MiB"
        http.post("/wake_up")
        assert http.post("/v1/completions", json=asked).json()["choices"] == before
    assert server.stop() == 0


@on_embedded("the end of a vLLM is tested with its supervisor")
def test_it_ends_in_good_order_while_it_sleeps(folders: dict[str, Path]) -> None:
    server = EmbeddedEngine(folders["base"])
    server.start()
    assert httpx.post(f"{server.url}/sleep").status_code == 200
    assert server.stop() == 0


def _memory_mib(server: EmbeddedEngine) -> float:
    assert server.process is not None
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(status.partition("RssAnon:")[2].split()[0]) / 1024
