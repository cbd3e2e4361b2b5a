"""Streams: the same text piece by piece, usage at the end, and rows that are freed when the client goes."""

import json
import time
from typing import Any

import httpx

from tests.engine.reference import tokenizer_of
from tests.engine.under_test import Engine


def _events(engine: Engine, path: str, **body: Any) -> list[dict[str, Any]]:
    asked = {"model": "tiny", "stream": True, **body}
    with engine.http.stream("POST", path, json=asked) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = [line for line in answer.iter_lines() if line]
    assert lines[-1] == "data: [DONE]"
    return [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]


def test_a_streamed_chat_is_the_whole_answer_in_pieces(engine: Engine) -> None:
    whole = engine.chat("who built it?", max_tokens=40, ignore_eos=True)
    events = _events(
        engine,
        "/v1/chat/completions",
        messages=[{"role": "user", "content": "who built it?"}],
        temperature=0,
        max_tokens=40,
        ignore_eos=True,
        stream_options={"include_usage": True},
    )
    *chunks, last = events
    pieces = [chunk["choices"][0]["delta"]["content"] for chunk in chunks]
    assert "".join(pieces) == whole["choices"][0]["message"]["content"]
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks] == [None] * (len(chunks) - 1) + ["length"]
    assert {chunk["object"] for chunk in events} == {"chat.completion.chunk"}
    assert last["choices"] == []
    assert last["usage"]["completion_tokens"] == whole["usage"]["completion_tokens"] == 40
    assert len(chunks) > 5


def test_pieces_never_hold_part_of_a_character_or_of_a_stop_string(engine: Engine) -> None:
    body = {"prompt": "é日🙂", "temperature": 0, "max_tokens": 60, "ignore_eos": True}
    whole = engine.text(body["prompt"], **{key: value for key, value in body.items() if key != "prompt"})
    pieces = [chunk["choices"][0]["text"] for chunk in _events(engine, "/v1/completions", **body)]
    assert "".join(pieces) == whole
    assert not whole.isascii()
    stop = whole[20:24]
    stopped = [chunk["choices"][0]["text"] for chunk in _events(engine, "/v1/completions", **body, stop=[stop])]
    assert "".join(stopped) == whole[: whole.index(stop)]


def test_several_streamed_answers_are_told_apart(engine: Engine) -> None:
    prompts = ["the lighthouse", "an island"]
    body = {"temperature": 1, "top_k": 1, "max_tokens": 8, "ignore_eos": True}
    texts = dict.fromkeys(range(4), "")
    for chunk in _events(engine, "/v1/completions", prompt=prompts, n=2, **body):
        texts[chunk["choices"][0]["index"]] += chunk["choices"][0]["text"]
    expected = [engine.text(prompt, max_tokens=8, ignore_eos=True) for prompt in prompts for _ in range(2)]
    assert [texts[index] for index in range(4)] == expected


def test_a_client_that_goes_away_frees_its_rows(engine: Engine) -> None:
    """The engine has eight rows; clients that left would fill them for as long as their answers are."""
    tokens = tokenizer_of(engine.base).encode("a")
    body = {"model": "tiny", "prompt": tokens, "max_tokens": 250, "temperature": 1, "ignore_eos": True, "n": 8}
    started = time.monotonic()
    engine.post("/v1/completions", **body)
    whole = time.monotonic() - started
    for stream in (True, False):
        for _ in range(6):
            try:
                with httpx.stream(
                    "POST", f"{engine.url}/v1/completions", json={**body, "stream": stream}, timeout=0.05
                ) as answer:
                    next(answer.iter_raw())
            except httpx.TimeoutException:
                pass
    started = time.monotonic()
    engine.text("the lighthouse", max_tokens=1)
    assert time.monotonic() - started < 3 * whole
