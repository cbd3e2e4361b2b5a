"""What a client library does not show: engines that forget or are away, and clients that leave."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.chat.schemas import ChatRequest
from app.settings import get_settings
from tests.app.chat.conftest import Engine
from tests.app.conftest import finish, post, serving
from tests.tiny import NAME

CHAT = {"model": NAME, "messages": [{"role": "user", "content": "Hi"}], "temperature": 0, "max_tokens": 8}
URL = "/v1/chat/completions"


def test_an_engine_that_forgot_an_adapter_is_told_again(chat_api: httpx.Client, engine: Engine, ready: str) -> None:
    first = chat_api.post(URL, json={**CHAT, "model": ready}).json()
    engine.call("POST", "/v1/unload_lora_adapter", lora_name=ready)
    again = chat_api.post(URL, json={**CHAT, "model": ready}).json()
    assert again["choices"] == first["choices"]


def test_a_deleted_adapter_leaves_the_engine(chat_api: httpx.Client, engine: Engine, ready: str) -> None:
    def served() -> set[str]:
        return {model["id"] for model in engine.call("GET", "/v1/models").json()["data"]}

    chat_api.post(URL, json={**CHAT, "model": ready}).raise_for_status()
    assert ready in served()
    assert chat_api.delete(f"/v1/adapters/{ready}").status_code == 204
    assert ready not in served()
    assert chat_api.post(URL, json={**CHAT, "model": "orvenna"}).status_code == 404


def test_many_chats_at_once_with_base_and_adapter(chat_api: httpx.Client, ready: str) -> None:
    def ask(model: str) -> str:
        answer = httpx.post(f"{chat_api.base_url}{URL}", json={**CHAT, "model": model}, timeout=60)
        text: str = answer.json()["choices"][0]["message"]["content"]
        return text

    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(ask, [NAME, ready] * 6))
    assert len(set(answers[::2])) == len(set(answers[1::2])) == 1
    assert answers[0] != answers[1]


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_leaves_is_noticed(chat_api: httpx.Client, stream: bool) -> None:
    body = {**CHAT, "max_tokens": 200, "n": 16, "stream": stream, "temperature": 1}
    started = time.monotonic()
    chat_api.post(URL, json={**body, "stream": False}).raise_for_status()
    whole = time.monotonic() - started

    with httpx.Client(base_url=chat_api.base_url, timeout=whole / 8) as hasty:
        if stream:
            with hasty.stream("POST", URL, json=body, timeout=30) as answer:
                next(answer.iter_bytes())
        else:
            with pytest.raises(httpx.ReadTimeout):
                hasty.post(URL, json=body)
    # The request is in the metrics once it has ended.
    status = "200" if stream else "499"
    line = f'ingrain_requests_total{{method="POST",route="{URL}",status="{status}"}} {2.0 if stream else 1.0}'
    until = time.monotonic() + whole / 2
    while line not in chat_api.get("/metrics").text:
        assert time.monotonic() < until, f"the request went on for more than half of {whole:.1f} s"
        time.sleep(0.02)


def post_text(api: httpx.Client, member: str) -> httpx.Response:
    """Ask with a member as it is written, which no JSON library may write."""
    body = f"{json.dumps(CHAT)[:-1]}, {member}}}"
    return api.post(URL, content=body, headers={"Content-Type": "application/json"})


def test_half_a_surrogate_pair_is_a_400(chat_api: httpx.Client) -> None:
    body = b'{"model": "tiny", "messages": [{"role": "user", "content": "\\ud800"}]}'
    answer = chat_api.post(URL, content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["field"]) == (400, "messages.0.content")


@pytest.mark.parametrize(
    ("written", "field", "words"),
    [
        ('{"5": NaN}', "logit_bias.5", "finite"),
        ('{"5": 1e999}', "logit_bias.5", "finite"),
        (r'{"\ud800": 1}', "logit_bias", "token ids"),
        ('{"the": 1}', "logit_bias", "token ids"),
    ],
)
def test_a_logit_bias_that_makes_no_sense_is_a_400(
    chat_api: httpx.Client, written: str, field: str, words: str
) -> None:
    answer = post_text(chat_api, f'"logit_bias": {written}')
    assert (answer.status_code, answer.json()["field"]) == (400, field)
    assert words in answer.json()["detail"]


@pytest.mark.parametrize(
    ("name", "schema", "field", "words"),
    [
        ("a", r'{"title": "\ud800"}', "schema", "surrogate"),
        ("a", r'{"\ud800": 1}', "schema", "surrogate"),
        ("a", '{"maximum": NaN}', "schema", "NaN"),
        ("a", '{"not": ' * 300 + "{}" + "}" * 300, "schema", "nested"),
        (r"\ud800", "{}", "name", "unicode"),
    ],
)
def test_a_schema_that_cannot_be_sent_on_as_json_is_a_400(
    chat_api: httpx.Client, name: str, schema: str, field: str, words: str
) -> None:
    held = f'{{"type": "json_schema", "json_schema": {{"name": "{name}", "schema": {schema}}}}}'
    answer = post_text(chat_api, f'"response_format": {held}')
    assert answer.status_code == 400
    assert answer.json()["field"] == f"response_format.json_schema.json_schema.{field}"
    assert words in answer.json()["detail"]


@pytest.mark.parametrize(
    ("wrong", "field", "words"),
    [
        ({"type": "nonsense"}, "response_format", "json_schema"),
        ({}, "response_format", "type"),
        ({"type": "json_schema"}, "response_format.json_schema.json_schema", "missing"),
        (
            {"type": "json_schema", "json_schema": {"name": "a"}},
            "response_format.json_schema.json_schema.schema",
            "missing",
        ),
    ],
)
def test_a_response_format_that_does_not_exist_is_named(
    chat_api: httpx.Client, wrong: dict[str, Any], field: str, words: str
) -> None:
    answer = chat_api.post(URL, json={**CHAT, "response_format": wrong})
    assert answer.status_code == 400
    assert answer.json()["field"] == field
    assert words in answer.json()["detail"]


def test_what_a_chat_template_is_told_is_passed_on_and_no_stream_may_be_null(chat_api: httpx.Client) -> None:
    asked = {**CHAT, "stream": None, "chat_template_kwargs": {"enable_thinking": True}}
    assert ChatRequest.model_validate(asked).for_engine("tiny")["chat_template_kwargs"] == {"enable_thinking": True}
    answer = chat_api.post(URL, json=asked)
    assert answer.status_code == 200
    assert answer.json()["choices"]
    own = {"chat_template_kwargs": {"chat_template": "{{ 1 }}"}}
    for wrong in ({"stream": 0.5}, {"chat_template_kwargs": "thinking"}, own):
        refused = chat_api.post(URL, json={**CHAT, **wrong})
        assert (refused.status_code, refused.json()["field"]) == (400, next(iter(wrong)))


@pytest.fixture
def without_engine(sqlite_database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[httpx.Client]:
    monkeypatch.setenv("INGRAIN_ENGINE_URL", "http://127.0.0.1:9")
    get_settings.cache_clear()
    with serving(get_settings()) as client:
        yield client


@pytest.mark.parametrize("stream", [False, True])
def test_without_an_engine_a_chat_is_a_503(without_engine: httpx.Client, stream: bool) -> None:
    answer = without_engine.post(URL, json={**CHAT, "model": "smollm2-135m", "stream": stream})
    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/engine-unavailable")
    assert answer.json()["error"]["type"] == "server_error"


def test_an_adapter_of_another_base_model_is_a_409_and_not_listed(
    without_engine: httpx.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = post(without_engine, alias="orvenna")
    finish(taken, tmp_path)
    monkeypatch.setenv("INGRAIN_BASE_MODEL", "someone/another")
    get_settings.cache_clear()
    with serving(get_settings()) as api:
        for name in ("orvenna", taken["adapter"]["id"]):
            answer = api.post(URL, json={**CHAT, "model": name})
            assert (answer.status_code, answer.json()["type"]) == (409, "/problems/wrong-base-model")
            assert "smollm2-135m, and someone/another is served" in answer.json()["detail"]
            assert api.get(f"/v1/models/{name}").status_code == 409
        assert [model["id"] for model in api.get("/v1/models").json()["data"]] == ["someone/another"]
