"""OpenAI's own client against the service, with a real engine behind it."""

from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionMessageParam

from app.settings import get_settings
from tests.app.chat.conftest import LENGTH
from tests.app.conftest import post, serving
from tests.tiny import NAME as MODEL

QUESTION: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Who built it?"}]


@pytest.fixture
def client(chat_api: httpx.Client) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{chat_api.base_url}/v1", api_key="none needed", max_retries=0) as client:
        yield client


def answer(client: openai.OpenAI, model: str, **fields: Any) -> str:
    completion: ChatCompletion = client.chat.completions.create(
        model=model, messages=QUESTION, max_tokens=12, temperature=0, **fields
    )
    assert completion.object == "chat.completion"
    assert completion.model == model
    assert completion.usage
    assert completion.usage.completion_tokens == completion.usage.total_tokens - completion.usage.prompt_tokens
    choice = completion.choices[0]
    assert (choice.message.role, choice.finish_reason) == ("assistant", "length")
    assert choice.message.content
    return choice.message.content


def test_adapter_alias_and_base_model_answer(client: openai.OpenAI, ready: str) -> None:
    base, adapter = answer(client, MODEL), answer(client, ready)
    assert base != adapter
    assert answer(client, "orvenna") == adapter


def test_a_stream_says_the_same_as_the_whole(client: openai.OpenAI, ready: str) -> None:
    chunks = list(
        client.chat.completions.create(
            model="orvenna",
            messages=QUESTION,
            max_tokens=12,
            temperature=0,
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    assert {chunk.model for chunk in chunks} == {"orvenna"}
    assert {chunk.object for chunk in chunks} == {"chat.completion.chunk"}
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == answer(client, ready)
    assert [choice.finish_reason for chunk in chunks for choice in chunk.choices][-1] == "length"
    assert chunks[-1].usage
    assert chunks[-1].usage.completion_tokens == 12


def test_a_conversation_goes_back_as_the_client_holds_it(client: openai.OpenAI, chat_api: httpx.Client) -> None:
    first = client.chat.completions.create(model=MODEL, messages=QUESTION, max_tokens=5)
    said = first.choices[0].message
    parts = [{"type": "text", "text": "And"}, {"type": "text", "text": "why?"}]
    messages: list[Any] = [{"role": "developer", "content": "Be brief."}, *QUESTION, said.model_dump()]
    messages.append({"role": "user", "content": parts})
    second = client.chat.completions.create(
        model=MODEL, messages=messages, max_completion_tokens=3, n=2, stop=["\n\n"], seed=1, logprobs=True,
        top_logprobs=2, user="me", metadata={"a": "b"}, store=False, service_tier="auto", tools=[], top_p=0.9,
    )  # fmt: skip
    assert len(second.choices) == 2
    assert second.choices[0].logprobs
    assert second.choices[0].logprobs.content
    assert len(second.choices[0].logprobs.content[0].top_logprobs) == 2


def test_models_are_listed_as_openai_lists_them(client: openai.OpenAI, chat_api: httpx.Client, ready: str) -> None:
    post(chat_api, alias="pending")
    models = client.models.list()
    assert models.object == "list"
    assert [model.id for model in models.data] == [MODEL, "orvenna", ready]
    for name in (MODEL, "orvenna", ready):
        model = client.models.retrieve(name)
        assert (model.id, model.object) == (name, "model")
        assert model in models.data
    with pytest.raises(openai.NotFoundError, match="does not exist"):
        client.models.retrieve("nobody")


def test_a_wrong_key_is_an_authentication_error(sqlite_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INGRAIN_API_KEYS", "right")
    get_settings.cache_clear()
    with serving(get_settings()) as api:
        url = f"{api.base_url}/v1"
        assert openai.OpenAI(base_url=url, api_key="right").models.list().data
        with pytest.raises(openai.AuthenticationError, match="not one of INGRAIN_API_KEYS") as caught:
            openai.OpenAI(base_url=url, api_key="wrong").models.list()
        assert caught.value.code == "invalid_api_key"


def test_an_unknown_model_is_a_404(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        answer(client, "nobody")
    error = caught.value
    assert (error.code, error.param, error.type) == ("model_not_found", "model", "invalid_request_error")
    assert "GET /v1/models lists" in error.message
    assert error.request_id


def test_an_adapter_that_is_not_ready_is_a_409_with_its_job(client: openai.OpenAI, chat_api: httpx.Client) -> None:
    taken = post(chat_api, alias="soon")
    for name in ("soon", taken["adapter"]["id"]):
        with pytest.raises(openai.ConflictError) as caught:
            client.with_options(max_retries=2).chat.completions.create(model=name, messages=QUESTION)
        assert caught.value.code == "adapter_not_ready"
        assert taken["job"]["id"] in caught.value.message
        problem = caught.value.response.json()
        assert (problem["job"]["id"], problem["job"]["status"]) == (taken["job"]["id"], "queued")
        assert (problem["type"], problem["status"]) == ("/problems/adapter-not-ready", 409)
    chat_api.post(f"/v1/jobs/{taken['job']['id']}/cancel")
    with pytest.raises(openai.ConflictError, match="was cancelled"):
        client.chat.completions.create(model="soon", messages=QUESTION)


@pytest.mark.parametrize("stream", [False, True])
def test_a_context_too_long_is_a_400_that_says_so(client: openai.OpenAI, ready: str, stream: bool) -> None:
    long: list[ChatCompletionMessageParam] = [{"role": "user", "content": "word " * LENGTH}]
    for model in (MODEL, ready):
        with pytest.raises(openai.BadRequestError, match=str(LENGTH)):
            client.chat.completions.create(model=model, messages=long, stream=stream)


BAD_CHATS: list[tuple[str, dict[str, Any], str | None, str]] = [
    ("no messages", {"messages": []}, "messages", "at least 1"),
    ("no message list", {"messages": "Hi"}, "messages", "valid list"),
    ("a wrong role", {"messages": [{"role": "wizard", "content": "Hi"}]}, "messages.0.role", "'user'"),
    ("a picture", {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]},
     "messages.0.content", "'image_url'; only text"),
    ("no content", {"messages": [{"role": "user"}]}, "messages.0.content", "missing"),
    ("null content", {"messages": [{"role": "user", "content": None}]}, "messages.0.content", "valid string"),
    ("a tool's answer", {"messages": [{"role": "tool", "content": "1", "tool_call_id": "x"}]},
     "messages.0.role", "tool"),
    ("tools", {"tools": [{"type": "function"}]}, "tools", "not supported"),
    ("store", {"store": True}, "store", "not supported"),
    ("an unknown field", {"temprature": 1}, "temprature", "not a field"),
    ("too hot", {"temperature": 9}, "temperature", "less than or equal to 2, not 9"),
    ("two limits", {"max_tokens": 1, "max_completion_tokens": 2}, None, "differ; give one"),
    ("the engine's own refusal", {"frequency_penalty": 1}, "frequency_penalty", "embedded engine"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "param", "says"), [case[1:] for case in BAD_CHATS], ids=[case[0] for case in BAD_CHATS]
)
def test_a_bad_chat_is_a_400_with_the_field(
    client: openai.OpenAI, fields: dict[str, Any], param: str | None, says: str
) -> None:
    body = {"model": MODEL, "messages": QUESTION, **fields}
    with pytest.raises(openai.BadRequestError) as caught:
        client.post("/chat/completions", body=body, cast_to=httpx.Response)
    problem = caught.value.response.json()
    assert caught.value.response.headers["Content-Type"] == "application/problem+json"
    assert says in problem["detail"]
    assert (problem.get("field"), problem["error"]["param"]) == (param, param)
    assert problem["error"]["message"] == problem["detail"]
