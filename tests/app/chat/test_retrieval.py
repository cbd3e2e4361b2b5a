"""A chat with passages in its prompt, by OpenAI's client: what the engine says to the same prompt, written out."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai.types.chat import ChatCompletion

from app.settings import get_settings
from tests.app.chat.conftest import KEY, LENGTH, Engine
from tests.app.conftest import finish, post, serving
from tests.tiny import NAME as MODEL

QUESTION = "Who built it?"
PASSAGE = "It was built in 1821 by Maret Quill, and its lamp burns rapeseed oil."
SHOWN = f"The lighthouse of Orvenna. {PASSAGE}"
HARBOUR = "# Port\n\nA bay.\n\n## Baker\n\nHe sells rye.\n\n## Eels\n\nThey are smoked.\n"


@pytest.fixture
def client(chat_api: httpx.Client) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{chat_api.base_url}/v1", api_key="none needed", max_retries=0) as client:
        yield client


@pytest.fixture
def harbour(chat_api: httpx.Client) -> str:
    """The id of a document of three short sections."""
    return str(post(chat_api, text=HARBOUR, title="Port")["document"]["id"])


def own_document(api: httpx.Client, adapter_id: str) -> str:
    (document,) = api.get(f"/v1/adapters/{adapter_id}").json()["documents"]
    return str(document["id"])


def ask(client: openai.OpenAI, model: str, question: str = QUESTION, **fields: Any) -> ChatCompletion:
    completion: ChatCompletion = client.chat.completions.create(
        model=model, messages=[{"role": "user", "content": question}], max_tokens=12, temperature=0, extra_body=fields
    )
    return completion


def passages(completion: ChatCompletion) -> list[dict[str, Any]]:
    assert completion.model_extra
    retrieval = completion.model_extra["retrieval"]
    assert retrieval["method"] == "bm25"
    found: list[dict[str, Any]] = retrieval["passages"]
    return found


def said(completion: ChatCompletion) -> tuple[str | None, int]:
    assert completion.usage
    return completion.choices[0].message.content, completion.usage.prompt_tokens


def test_pd_rag_and_both_are_one_flag_apart(client: openai.OpenAI, chat_api: httpx.Client, ready: str) -> None:
    document_id = own_document(chat_api, ready)
    both = ask(client, ready, retrieval=True)
    (passage,) = passages(both)
    assert passage.pop("score") > 0
    assert passage == {
        "document_id": document_id,
        "title": "The lighthouse of Orvenna",
        "heading": None,
        "text": PASSAGE,
        "stale": False,
    }
    assert said(both) == said(ask(client, ready, f"{SHOWN}\n\n{QUESTION}"))
    assert said(ask(client, "orvenna", retrieval=2)) == said(both)

    rag = ask(client, MODEL, retrieval=True, documents=[document_id])
    assert passages(rag)[0]["text"] == PASSAGE
    assert said(rag) == said(ask(client, MODEL, f"{SHOWN}\n\n{QUESTION}"))
    assert said(ask(client, MODEL, documents=[document_id])) == said(rag)

    closed = ask(client, ready)
    assert "retrieval" not in (closed.model_extra or {})
    assert said(ask(client, ready, retrieval=False)) == said(ask(client, ready, retrieval=None)) == said(closed)
    assert len({content for content, _ in (said(both), said(rag), said(closed))}) == 3


def test_a_streams_first_chunk_has_the_passages(client: openai.OpenAI, ready: str) -> None:
    stream = client.chat.completions.create(
        model=ready, messages=[{"role": "user", "content": QUESTION}], max_tokens=12, temperature=0, stream=True,
        stream_options={"include_usage": True}, extra_body={"retrieval": True},
    )  # fmt: skip
    first, *rest = stream
    whole = ask(client, ready, retrieval=True)
    assert first.model_extra
    assert first.model_extra["retrieval"]["passages"] == passages(whole)
    assert all("retrieval" not in (chunk.model_extra or {}) for chunk in rest)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in [first, *rest] if chunk.choices)
    usage = rest[-1].usage
    assert usage
    assert (text, usage.prompt_tokens) == said(whole)


def test_the_best_come_first_and_as_many_as_asked_for(client: openai.OpenAI, harbour: str) -> None:
    found = passages(ask(client, MODEL, "Who sells rye at the port?", retrieval=2, documents=[harbour]))
    assert len(found) == 2
    assert (found[0]["heading"], found[0]["text"]) == ("Baker", "He sells rye.")
    assert found[0]["score"] > found[1]["score"]
    assert len(passages(ask(client, MODEL, "Which port?", documents=[harbour]))) == 3


def test_where_nothing_is_found_the_question_stays_as_it_is(client: openai.OpenAI, harbour: str) -> None:
    thanks = ask(client, MODEL, "Thanks!", documents=[harbour])
    assert passages(thanks) == []
    assert said(thanks) == said(ask(client, MODEL, "Thanks!"))


def test_a_question_that_follows_up_is_searched_for_with_the_ones_before(client: openai.OpenAI, harbour: str) -> None:
    def found(*turns: str) -> list[str]:
        answered = [[{"role": "user", "content": turn}, {"role": "assistant", "content": "Eels."}] for turn in turns]
        messages: Any = [message for exchange in answered for message in exchange][:-1]
        completion = client.chat.completions.create(
            model=MODEL, messages=messages, max_tokens=2, extra_body={"retrieval": 1, "documents": [harbour]}
        )
        return [passage["heading"] for passage in passages(completion)]

    assert found("Who sells rye?", "What is his name?") == ["Baker"]
    assert found("Who sells rye?", "What is his name?", "Why?") == ["Baker"]
    assert found("Who sells rye?", "How are eels smoked?") == ["Eels"]
    assert found("Who sells rye?", "Why?", "Why?", "Why?") == []


def test_several_documents_are_searched_as_one(
    client: openai.OpenAI, chat_api: httpx.Client, harbour: str, ready: str
) -> None:
    documents = [harbour, own_document(chat_api, ready), harbour]
    (baker,) = passages(ask(client, MODEL, "Who sells rye?", retrieval=1, documents=documents))
    (oil,) = passages(ask(client, MODEL, "Which rapeseed?", retrieval=1, documents=documents))
    assert [baker["document_id"], oil["document_id"]] == documents[:2]


def test_passages_of_replaced_documents_are_marked(client: openai.OpenAI, chat_api: httpx.Client) -> None:
    former = post(chat_api, text=HARBOUR, title="Port", external_id="port")["document"]["id"]
    newer = post(chat_api, text=HARBOUR.replace("rye", "oats"), title="Port", external_id="port")["document"]["id"]
    found = passages(ask(client, MODEL, "Who sells rye?", retrieval=6, documents=[former, newer]))
    assert {(passage["document_id"], passage["stale"]) for passage in found} == {(former, True), (newer, False)}


def test_the_passages_stand_in_the_last_turn_of_the_user(client: openai.OpenAI, ready: str) -> None:
    def messages(question: str) -> list[Any]:
        return [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": "Hello"},
            {"role": "user", "content": [{"type": "text", "text": question}]},
            {"role": "assistant", "content": "Well"},
        ]

    def answer(question: str, **fields: Any) -> tuple[str | None, int]:
        return said(
            client.chat.completions.create(
                model=ready, messages=messages(question), max_tokens=12, temperature=0, extra_body=fields
            )
        )

    assert answer(QUESTION, retrieval=True) == answer(f"{SHOWN}\n\n{QUESTION}")


def test_what_has_no_room_is_left_out_the_least_good_first(
    client: openai.OpenAI, chat_api: httpx.Client, engine: Engine, harbour: str
) -> None:
    question = f"Who sells rye at the port? {'It is urgent. ' * 8}"
    best = [passage["heading"] for passage in passages(ask(client, MODEL, question, documents=[harbour]))]
    assert best[0] == "Baker"

    def shown(max_tokens: int | None) -> list[str]:
        body = {"model": MODEL, "messages": [{"role": "user", "content": question}], "documents": [harbour]}
        told = chat_api.post("/v1/chat/completions", json={**body, "max_tokens": max_tokens}).json()
        return [passage["heading"] for passage in told["retrieval"]["passages"]]

    def tokens(content: str) -> int:
        body = {"model": MODEL, "messages": [{"role": "user", "content": content}]}
        headers = {"Authorization": f"Bearer {KEY}"}
        told = httpx.post(f"{engine.url}/tokenize", json=body, headers=headers).raise_for_status().json()
        return int(told["max_model_len"]) - int(told["count"])

    one = tokens(f"Port (Baker). He sells rye.\n\n{question}")
    assert shown(one) == best[:1]
    assert shown(one + 1) == []
    assert one < LENGTH // 2
    assert shown(None) == shown(LENGTH // 4)
    counts = [len(shown(max_tokens)) for max_tokens in (12, one - 20, one, one + 20)]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] == 3


def test_a_high_limit_leaves_half_of_the_context_to_passages(
    client: openai.OpenAI, chat_api: httpx.Client, harbour: str
) -> None:
    body = {"model": MODEL, "messages": [{"role": "user", "content": "Who sells rye?"}], "documents": [harbour]}
    half, whole, more = (
        chat_api.post("/v1/chat/completions", json={**body, "temperature": 0, "max_tokens": limit}).json()
        for limit in (LENGTH // 2, LENGTH, 100 * LENGTH)
    )
    assert half["retrieval"] == whole["retrieval"] == more["retrieval"]
    assert half["retrieval"]["passages"]
    assert whole["choices"] == more["choices"]
    assert whole["usage"]["total_tokens"] <= LENGTH


def test_a_prompt_too_long_by_itself_is_refused_as_ever(client: openai.OpenAI, ready: str) -> None:
    with pytest.raises(openai.BadRequestError, match="maximum context length"):
        ask(client, ready, "word " * 300, retrieval=True)


@pytest.mark.parametrize(
    ("fields", "field", "says"),
    [
        ({"retrieval": True}, "documents", "no documents of its own: name some"),
        ({"retrieval": 0}, "retrieval", "from 1 to 20"),
        ({"retrieval": 21}, "retrieval", "from 1 to 20"),
        ({"retrieval": "some"}, "retrieval", "true, false, or a number of passages"),
        ({"retrieval": False, "documents": ["doc_x"]}, None, "leave one of them out"),
        ({"documents": []}, "documents", "at least 1"),
        ({"documents": ["doc_x"] * 101}, "documents", "at most 100"),
    ],
)
def test_what_makes_no_sense_is_a_400(
    client: openai.OpenAI, fields: dict[str, Any], field: str | None, says: str
) -> None:
    with pytest.raises(openai.BadRequestError, match=says) as caught:
        ask(client, MODEL, **fields)
    assert caught.value.response.json().get("field") == field


def test_without_a_question_there_is_nothing_to_find(chat_api: httpx.Client, ready: str) -> None:
    body = {"model": ready, "messages": [{"role": "system", "content": "Be brief."}], "retrieval": True}
    answer = chat_api.post("/v1/chat/completions", json=body)
    assert (answer.status_code, answer.json()["field"]) == (400, "messages")
    assert "no message has the role 'user'" in answer.json()["detail"]


@pytest.mark.parametrize("document_id", ["doc_01k0000000000000000000000a", "nonsense", "doc_\0"])
def test_an_unknown_document_is_a_404(client: openai.OpenAI, ready: str, document_id: str) -> None:
    for model in (MODEL, ready):
        with pytest.raises(openai.NotFoundError, match="does not exist") as caught:
            ask(client, model, documents=[document_id])
        assert caught.value.response.json()["field"] == "documents.0"


def test_another_document_than_the_adapters_is_a_400_with_the_way_out(
    client: openai.OpenAI, chat_api: httpx.Client, harbour: str, ready: str
) -> None:
    own = own_document(chat_api, ready)
    assert passages(ask(client, ready, documents=[own]))[0]["document_id"] == own
    with pytest.raises(openai.BadRequestError, match=f"Leave it out, or ask the base model {MODEL}") as caught:
        ask(client, ready, documents=[own, harbour])
    assert own in caught.value.message
    assert caught.value.response.json()["field"] == "documents.1"


def test_a_document_that_is_gone_is_served_no_more(client: openai.OpenAI, chat_api: httpx.Client, ready: str) -> None:
    document_id = own_document(chat_api, ready)
    assert passages(ask(client, MODEL, documents=[document_id]))
    chat_api.delete(f"/v1/documents/{document_id}", params={"cascade": True}).raise_for_status()
    with pytest.raises(openai.NotFoundError, match="does not exist"):
        ask(client, MODEL, documents=[document_id])


def test_the_setting_chooses_the_method(
    sqlite_database: str, engine: Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("INGRAIN_ENGINE_URL", engine.url)
    monkeypatch.setenv("INGRAIN_ENGINE_API_KEY", KEY)
    monkeypatch.setenv("INGRAIN_BASE_MODEL", MODEL)
    monkeypatch.setenv("INGRAIN_RETRIEVAL", "embeddings")
    get_settings.cache_clear()
    with serving(get_settings()) as api:
        taken = post(api, text=HARBOUR, title="Port")
        finish(taken, tmp_path, engine.adapter)
        body = {"model": taken["adapter"]["id"], "messages": [{"role": "user", "content": "fish"}], "max_tokens": 5}
        told = api.post("/v1/chat/completions", json={**body, "retrieval": 1}).json()
    assert told["retrieval"]["method"] == "embeddings"
    assert told["retrieval"]["passages"][0]["heading"] == "Eels"


def test_more_text_than_an_index_holds_is_refused_before_it_is_read(
    api_on_sqlite: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [post(api_on_sqlite)["document"]["id"] for _ in range(2)]
    monkeypatch.setattr("app.retrieval.indexes.MOST_BYTES", 150)  # one has 102
    monkeypatch.delattr("app.retrieval.indexes.Indexes._build")
    body = {"model": get_settings().base_model_name, "messages": [{"role": "user", "content": QUESTION}]}
    refused = api_on_sqlite.post("/v1/chat/completions", json={**body, "documents": ids})
    assert refused.status_code == 400
    assert "Name fewer of them" in refused.text
