"""LangChain's ChatOpenAI against the service, unchanged, with a real engine behind it."""

import httpx
import pytest
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, SystemMessage
from langchain_openai import ChatOpenAI
from openai import NotFoundError
from pydantic import SecretStr

from tests.tiny import NAME as MODEL

QUESTION = "Who built it?"


def chat_with(api: httpx.Client, model: str, *, tokens: int = 12) -> ChatOpenAI:
    return ChatOpenAI(
        model=model,
        base_url=f"{api.base_url}/v1",
        api_key=SecretStr("none needed"),
        temperature=0,
        max_completion_tokens=tokens,
        max_retries=0,
    )


def check_usage(message: AIMessage) -> None:
    assert message.usage_metadata
    used = message.usage_metadata
    assert (used["output_tokens"], used["total_tokens"]) == (12, used["input_tokens"] + 12)


def test_adapter_alias_and_base_model_answer(chat_api: httpx.Client, ready: str) -> None:
    base, adapter, alias = (chat_with(chat_api, name).invoke(QUESTION) for name in (MODEL, ready, "orvenna"))
    assert base.content
    assert base.content != adapter.content == alias.content
    assert alias.response_metadata["model_name"] == "orvenna"
    assert alias.response_metadata["finish_reason"] == "length"
    check_usage(alias)


def test_a_stream_says_the_same_as_the_whole_and_counts_its_tokens(chat_api: httpx.Client, ready: str) -> None:
    chat = chat_with(chat_api, "orvenna")
    whole = AIMessageChunk(content="")
    for number, chunk in enumerate(chat.stream(QUESTION, stream_usage=True)):
        whole = whole + chunk if number else chunk
    assert whole.content == chat.invoke(QUESTION).content
    check_usage(whole)


def test_a_conversation_goes_back_as_langchain_holds_it(chat_api: httpx.Client) -> None:
    chat = chat_with(chat_api, MODEL)
    begun = [SystemMessage("Be brief."), HumanMessage(QUESTION)]
    first = chat.invoke(begun)
    second = chat.invoke([*begun, first, HumanMessage("And why?")])
    assert first.usage_metadata
    assert second.usage_metadata
    assert second.usage_metadata["input_tokens"] > first.usage_metadata["input_tokens"]


def test_an_unknown_model_is_openais_error(chat_api: httpx.Client) -> None:
    with pytest.raises(NotFoundError, match="GET /v1/models lists"):
        chat_with(chat_api, "nobody").invoke(QUESTION)
