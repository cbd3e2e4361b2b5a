"""Closed-loop clients, on a real engine."""

import asyncio

import pytest

from app.engine.engines import Engines
from app.engine.slots import AdapterFiles
from app.errors import BadEngineRequest
from benchmarks.load import Answer, Cell, Load, Measurement, measured
from benchmarks.questions import chats, numbered_questions, questions
from tests.benchmarks.conftest import Engine
from tests.tiny import NAME

SECONDS = 0.5


def measure(engine: Engine, cell: Cell, *, slots: int = 4, tokens: int = 8) -> Measurement:
    async def run() -> Measurement:
        async with Engines([engine.url], slots=slots) as engines:
            return await Load(engines, NAME, numbered_questions(), tokens).measure(cell, SECONDS)

    return asyncio.run(run())


def test_clients_of_the_base_model_and_of_adapters_are_measured(engine: Engine) -> None:
    for cell in (Cell((), 1), Cell(engine.adapters, 4), Cell(engine.adapters, 3, is_bound=True)):
        found = measure(engine, cell)
        assert found.tokens_per_second > 10
        assert found.first_token_seconds
        assert all(0 < seconds < 30 for seconds in found.first_token_seconds)


def test_more_adapters_than_slots_are_all_answered(engine: Engine) -> None:
    assert measure(engine, Cell(engine.adapters, 6, is_bound=True), slots=2).tokens_per_second > 0


def test_a_failure_ends_the_measurement_with_the_engines_own_words(engine: Engine) -> None:
    with pytest.raises(BadEngineRequest, match="512"):
        measure(engine, Cell((), 2), tokens=5000)


def test_a_client_asks_each_adapter_in_turn_or_keeps_to_one() -> None:
    red, blue = (AdapterFiles(name, None) for name in ("red", "blue"))  # type: ignore[arg-type]
    free, bound = Cell((red, blue), 2), Cell((red, blue), 2, is_bound=True)
    assert [free.adapter(1, turn) for turn in range(3)] == [blue, red, blue]
    assert [bound.adapter(1, turn) for turn in range(3)] == [blue, blue, blue]
    assert Cell((), 2).adapter(1, 1) is None


def test_only_what_came_in_the_time_counts_and_pieces_of_several_tokens_count_as_such() -> None:
    ended = Answer(asked_at=0.0, pieces_at=[0.5, 1.5, 2.5, 3.5], tokens=8)
    running = Answer(asked_at=1.0, pieces_at=[1.25, 2.75])
    found = measured([ended, running, Answer(asked_at=2.0)], begin=1.0, end=3.0)
    assert found.tokens_per_second == 4 * 2 / 2
    assert found.first_token_seconds == [0.25]


def test_no_question_is_asked_twice() -> None:
    asked = numbered_questions()
    some = [next(asked) for _ in range(3 * len(questions()))]
    assert len(set(some)) == len(some)
    assert (len(questions()), len(chats())) == (41, 53)
