"""Retrieval beside the model: passages of documents, found for the last question and put into the prompt before it.

The user's two turns before the last are searched for too, and count less: a question that follows up on others may not
say what it is about.
"""

from collections.abc import Awaitable, Callable, Sequence, Set
from typing import Any, Final

from starlette.concurrency import run_in_threadpool

from app.adapters import service as adapters
from app.catalogue.service import Target
from app.chat.schemas import ChatRequest, FoundPassage, Retrieval
from app.dependencies import Services
from app.documents import service as documents
from app.errors import BadEngineRequest, InvalidRequest, NotFound
from app.models import Document
from app.retrieval.indexes import Found, check_size

Messages = list[dict[str, Any]]

_TURNS_BEFORE: Final = 2
"""Of the user, that are searched for beside the last."""
_ANSWER_TOKENS: Final = 256
"""Room for an answer of no given length, if that is no more than a quarter of the context."""


async def with_passages(
    services: Services, chat: ChatRequest, target: Target, messages: Messages
) -> tuple[Messages, Retrieval, int | None]:
    """The messages with passages in the last turn of the user, and those passages, the best first.

    The last value is the room that they leave for the answer, in tokens; None where there are none.

    Raises:
        InvalidRequest: no document is named and none belongs to the model, one is not the adapter's, they are too
            large together, or no turn is the user's.
        NotFound: a document does not exist.
    """
    *earlier, turn = _questions(messages)
    asked = [messages[number]["content"] for number in (turn, *reversed(earlier[-_TURNS_BEFORE:]))]
    found, replaced = await run_in_threadpool(_find, services, chat, target, asked)

    def filled(count: int) -> Messages:
        filled_turn = {**messages[turn], "content": _beside(found[:count], messages[turn]["content"])}
        return [*messages[:turn], filled_turn, *messages[turn + 1 :]]

    rooms: dict[int, int] = {}

    async def fits(count: int) -> bool:
        payload = {
            "model": target.base_model,
            "messages": filled(count),
            "add_generation_prompt": True,
            "chat_template_kwargs": chat.chat_template_kwargs,
        }
        try:
            told = await services.engines.tokenize(payload)
        except BadEngineRequest:  # too long even to be counted; what else is wrong, the chat itself will hear
            return False
        length = int(told["max_model_len"])
        rooms[count] = length - int(told["count"])
        return rooms[count] >= _wanted(chat.answer_limit, length)

    count = await _most_fitting(fits, len(found))
    shown = [_view(one, replaced) for one in found[:count]]
    return filled(count), Retrieval(passages=shown, method=services.indexes.method), rooms.get(count)


def _wanted(answer_limit: int | None, length: int) -> int:
    """The tokens to leave for the answer: its limit, which many clients set high, but half of the context at most."""
    return min(_ANSWER_TOKENS, length // 4) if answer_limit is None else min(answer_limit, length // 2)


async def _most_fitting(fits: Callable[[int], Awaitable[bool]], most: int) -> int:
    """The largest count up to `most` that fits; nought always does."""
    if most == 0 or await fits(most):
        return most
    fitting, too_many = 0, most
    while too_many - fitting > 1:
        middle = (fitting + too_many) // 2
        if await fits(middle):
            fitting = middle
        else:
            too_many = middle
    return fitting


def _questions(messages: Messages) -> list[int]:
    """The places of the user's turns; at least one."""
    turns = [number for number, message in enumerate(messages) if message["role"] == "user"]
    if not turns:
        raise InvalidRequest(
            "Retrieval finds passages for the user's last turn, and no message has the role 'user'. Add one, or leave "
            "retrieval out.",
            field="messages",
        )
    return turns


def _beside(found: Sequence[Found], question: str) -> str:
    """The passages in the user's turn, the question last.

    So stands the passage in the teacher's prompt too, but that also asks for one short sentence, and may show examples
    (worker/distillation/prompts.py). Here nothing else is added to what the client wrote.
    """
    return "\n\n".join([*(one.passage.shown for one in found), question])


def _view(found: Found, replaced: Set[str]) -> FoundPassage:
    passage = found.passage
    return FoundPassage(
        document_id=passage.document_id,
        title=passage.title,
        heading=passage.heading,
        text=passage.text,
        score=found.score,
        stale=passage.document_id in replaced,
    )


def _find(
    services: Services, chat: ChatRequest, target: Target, asked: Sequence[str]
) -> tuple[list[Found], frozenset[str]]:
    """The passages, and which of the documents that were looked into are replaced, by their ids.

    `asked` are the turns to search for, the last first.
    """
    looked_into = _documents(services, chat.documents, target)
    index = services.indexes.of({document.id: document.title for document in looked_into})
    replaced = frozenset(document.id for document in looked_into if document.replaced_at is not None)
    question, *before = asked
    return index.best(question, chat.passages_wanted, before), replaced


def _documents(services: Services, wanted: Sequence[str] | None, target: Target) -> list[Document]:
    """The documents to look into, each once."""
    if target.adapter_id is None and not wanted:
        raise InvalidRequest(
            f"The model {target.called!r} is the base model and has no documents of its own: name some "
            '("documents": ["doc_…"]; GET /v1/documents lists them), or ask an adapter.',
            field="documents",
        )
    with services.unit_of_work(reads_only=True) as session:
        own = None
        if target.adapter_id is not None:
            known = adapters.get(session, target.adapter_id).documents
            own = {document.id for document in known}
            if not wanted:
                check_size(document.size_bytes for document in known)
                return known
        chosen: dict[str, Document] = {}
        for number, document_id in enumerate(wanted or ()):
            field = f"documents.{number}"
            try:
                document = documents.get(session, document_id)
            except NotFound as error:
                raise NotFound(f"{error.detail} GET /v1/documents lists those that do.", field=field) from None
            if own is not None and document.id not in own:
                raise InvalidRequest(
                    f"The document {document.id} is not one that the adapter {target.called} was made from "
                    f"({', '.join(sorted(own))}). Leave it out, or ask the base model {target.base_model}.",
                    field=field,
                )
            chosen[document.id] = document
    check_size(document.size_bytes for document in chosen.values())
    return list(chosen.values())
