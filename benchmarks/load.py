"""Closed-loop clients of an engine: each asks its next question when its answer has ended.

They ask through `Engines`, as the API does, and read streams. Answers are greedy and of a fixed length.
"""

import asyncio
import contextlib
import itertools
import json
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.engine.engines import Engines
from app.engine.slots import AdapterFiles
from app.errors import EngineUnavailable


@dataclass(frozen=True, slots=True)
class Cell:
    """One configuration to measure.

    Attributes:
        adapters: whom the clients ask; none: the base model.
        clients: how many ask at once.
        is_bound: whether each client asks one and the same adapter, instead of one after the other.
    """

    adapters: tuple[AdapterFiles, ...]
    clients: int
    is_bound: bool = False

    def adapter(self, client: int, turn: int) -> AdapterFiles | None:
        """Whom a client asks in its n-th question."""
        return self.adapters[(client + turn * (not self.is_bound)) % len(self.adapters)] if self.adapters else None


@dataclass(frozen=True, slots=True)
class Measurement:
    """What a cell gave: tokens a second of all clients together, and the seconds to each answer's first token."""

    tokens_per_second: float
    first_token_seconds: list[float]


@dataclass(slots=True)
class Answer:
    """A stream: when it was asked for, when its pieces of text came (monotonic), and how many tokens they were."""

    asked_at: float = field(default_factory=time.monotonic)
    pieces_at: list[float] = field(default_factory=list)
    tokens: int | None = None


class Load:
    """Clients of one engine.

    Args:
        engines: the engine.
        base: the base model's name there.
        questions: what the clients ask, without an end and none twice: no engine finds a prompt in its cache.
        tokens: the length of each answer.
    """

    def __init__(self, engines: Engines, base: str, questions: Iterator[str], tokens: int) -> None:
        self._engines = engines
        self._base = base
        self._questions = questions
        self._tokens = tokens

    async def first_token_seconds(self, adapter: AdapterFiles | None) -> float:
        """From a question to its answer's first token, where nobody else asks."""
        answer = Answer()
        await self._ask(adapter, self._tokens, answer)
        return answer.pieces_at[0] - answer.asked_at

    async def measure(self, cell: Cell, seconds: float) -> Measurement:
        """Let the clients ask; measure for some seconds from when each of them has been answered once.

        Raises:
            IngrainError: an answer failed.
        """
        answers: list[Answer] = []
        started = [asyncio.Event() for _ in range(cell.clients)]
        try:
            async with asyncio.TaskGroup() as group:
                clients = [
                    group.create_task(self._client(cell, number, answers, event))
                    for number, event in enumerate(started)
                ]
                for answered in started:
                    await answered.wait()
                begin = time.monotonic()
                await asyncio.sleep(seconds)
                end = time.monotonic()
                for client in clients:
                    client.cancel()
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None
        return measured(answers, begin, end)

    async def _client(self, cell: Cell, number: int, answers: list[Answer], answered: asyncio.Event) -> None:
        # The first answers have different lengths: clients that go in step would all read their prompts at once.
        length = 1 + self._tokens * (number + 1) // (cell.clients + 1)
        for turn in itertools.count():
            answer = Answer()
            answers.append(answer)
            await self._ask(cell.adapter(number, turn), length, answer)
            answered.set()
            length = self._tokens

    async def _ask(self, adapter: AdapterFiles | None, length: int, answer: Answer) -> None:
        payload = {
            "model": self._base,
            "messages": [{"role": "user", "content": next(self._questions)}],
            "max_tokens": length,
            "temperature": 0,
            "ignore_eos": True,
            "skip_special_tokens": False,  # what has no text comes in no event
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        async with contextlib.aclosing(_events(self._engines.stream_chat(payload, adapter))) as events:
            async for event in events:
                if any(choice["delta"].get("content") for choice in event["choices"]):
                    answer.pieces_at.append(time.monotonic())
                if usage := event.get("usage"):
                    answer.tokens = usage["completion_tokens"]
                    if not answer.pieces_at:  # its tokens are pieces of characters, and it has no text
                        answer.pieces_at.append(time.monotonic())
        if answer.tokens != length:
            raise EngineUnavailable(f"The engine ended an answer of {length} tokens after {answer.tokens}.")


async def _events(pieces: AsyncGenerator[bytes]) -> AsyncGenerator[dict[str, Any]]:
    """The events of a stream, but for its last one, which says that it has ended."""
    waiting = b""
    async with contextlib.aclosing(pieces):
        async for piece in pieces:
            *complete, waiting = (waiting + piece).split(b"\n\n")
            for event in complete:
                data = event.removeprefix(b"data:").strip()
                if data != b"[DONE]":
                    content = json.loads(data)
                    if "error" in content:
                        raise EngineUnavailable(f"The engine broke off an answer: {content['error']}")
                    yield content


def measured(answers: Sequence[Answer], begin: float, end: float) -> Measurement:
    """The answers' share of the time that was measured.

    A piece of text is a token as a rule; where characters or deliveries take several, ended answers tell how many.
    """
    pieces = sum(begin <= at < end for answer in answers for at in answer.pieces_at)
    ended = [answer for answer in answers if answer.tokens is not None]
    tokens_a_piece = sum(answer.tokens or 0 for answer in ended) / sum(len(answer.pieces_at) for answer in ended)
    begun = [answer for answer in answers if answer.pieces_at and begin <= answer.pieces_at[0] < end]
    return Measurement(
        tokens_per_second=pieces * tokens_a_piece / (end - begin),
        first_token_seconds=[answer.pieces_at[0] - answer.asked_at for answer in begun],
    )
