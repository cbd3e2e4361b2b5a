"""What an engine refuses: with the dialect's status and shape, and a text that names cause and way out."""

from typing import Any

import httpx
import pytest

from tests.engine.dialects import DIALECT, on_embedded
from tests.engine.under_test import MAX_LENGTH, Engine

MESSAGES = [{"role": "user", "content": "who?"}]


def _refused(response: httpx.Response, status: int = 400) -> str:
    assert response.status_code == status, response.text
    error = response.json()["error"]
    assert set(error) >= {"message", "type", "param", "code"}
    assert error["code"] == status
    message: str = error["message"]
    return message


def _tokens(engine: Engine, text: str) -> list[int]:
    tokens: list[int] = engine.post("/tokenize", model="tiny", prompt=text).json()["tokens"]
    return tokens


def test_an_unknown_model(engine: Engine) -> None:
    assert "`nobody`" in _refused(engine.post("/v1/completions", model="nobody", prompt="a"), 404)
    assert "`nobody`" in _refused(engine.post("/v1/chat/completions", model="nobody", messages=MESSAGES), 404)


def test_a_context_that_is_too_long_names_both_numbers(engine: Engine) -> None:
    message = _refused(engine.post("/v1/completions", model="tiny", prompt="a b " * 300))
    assert str(MAX_LENGTH) in message
    count = len(_tokens(engine, "a b " * 300))
    assert str(count if DIALECT.counts_long_prompts else MAX_LENGTH + 1) in message
    full = _tokens(engine, "a b " * 300)[:MAX_LENGTH]
    assert _refused(engine.post("/v1/completions", model="tiny", prompt=full))
    message = _refused(engine.post("/v1/completions", model="tiny", prompt="a", max_tokens=MAX_LENGTH + 1))
    assert f"max_tokens={MAX_LENGTH + 1} cannot be greater than max_model_len={MAX_LENGTH}" in message
    long = [{"role": "user", "content": "a b " * 300}]
    assert str(MAX_LENGTH) in _refused(engine.post("/v1/chat/completions", model="tiny", messages=long))


@pytest.mark.parametrize(
    "more",
    [
        {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {}}}},
        {"tools": [{"type": "function", "function": {"name": "a"}}]},
        {"logit_bias": {"5": 10}},
        {"presence_penalty": 0.5},
        {"frequency_penalty": -1},
        {"repetition_penalty": 1.2},
        {"min_tokens": 3},
        {"n": 9},  # it has eight rows
    ],
    ids=lambda more: next(iter(more)),
)
@on_embedded("vLLM does all this")
def test_what_the_embedded_engine_cannot_do_is_refused_by_name(engine: Engine, more: dict[str, Any]) -> None:
    message = _refused(engine.post("/v1/chat/completions", model="tiny", messages=MESSAGES, max_tokens=2, **more))
    assert next(iter(more)) in message


def test_neutral_values_of_those_fields_are_fine(engine: Engine) -> None:
    neutral: dict[str, Any] = {
        "response_format": {"type": "text"},
        "presence_penalty": 0,
        "logit_bias": {},
        "user": "x",
        "tools": None,
    }
    assert engine.chat("who?", max_tokens=2, **neutral)["choices"][0]["finish_reason"]


@pytest.mark.parametrize(
    "more",
    [
        {"temperature": -1},
        {"temperature": 2.5},
        {"temperature": "hot"},
        {"top_p": 0},
        {"top_p": 1.5},
        {"n": 0},
        {"n": 2, "temperature": 0},
        {"max_tokens": -1},
        {"logprobs": 99},
        {"prompt": ""},
        {"prompt": []},
        {"prompt": [999_999]},
        {"prompt": None},
        {"stop": [""]},
        {"stream_options": {"include_usage": True}},
    ],
    ids=str,
)
def test_bad_values_are_refused(engine: Engine, more: dict[str, Any]) -> None:
    assert _refused(engine.post("/v1/completions", **{"model": "tiny", "prompt": "a", **more}))


@pytest.mark.parametrize(
    "messages", [None, [], "hello", [{"content": "a"}], [{"role": "user", "content": [{"type": "image_url"}]}]], ids=str
)
def test_bad_messages_are_refused(engine: Engine, messages: Any) -> None:
    assert _refused(engine.post("/v1/chat/completions", model="tiny", messages=messages))


def test_a_body_that_is_no_object(engine: Engine) -> None:
    for content in (b"{", b"[]", b"", b"\xff"):
        assert _refused(engine.http.post("/v1/completions", content=content))
    assert _refused(engine.post("/v1/load_lora_adapter", lora_name="x"))
    assert _refused(engine.post("/v1/unload_lora_adapter"))


@on_embedded("vLLM leaves paths that it does not have to its web framework")
def test_paths_that_are_not_there(engine: Engine) -> None:
    assert _refused(engine.http.get("/v1/nothing"), 404)
    assert _refused(engine.http.get("/v1/completions"), 405)


def test_without_a_model_the_base_answers(engine: Engine) -> None:
    for model in (None, ""):
        answer = engine.post("/v1/completions", model=model, prompt="a", max_tokens=1).json()
        assert answer["model"] == "tiny"
