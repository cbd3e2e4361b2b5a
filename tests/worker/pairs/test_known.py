import asyncio
from collections import Counter

import pytest

from tests.worker.pairs.scripted import ScriptedWriter
from worker.pairs.answering import Pair
from worker.pairs.facts import Fact, Kind
from worker.pairs.known import KNOWN, mark_known
from worker.pairs.writing import CLOZE, OPEN, Question

YEAR = Fact(Kind.YEAR, "1889", "1889", "The Eiffel Tower was built in ", ".")
WHEN = Question("p0001", "When was the Eiffel Tower built?", "year", YEAR)
YEAR_OF = Question("p0001", "What is the year of the Eiffel Tower?", "year", YEAR)
PAINT = Question("p0001", "What keeps its rust off?", OPEN, None)


def test_what_is_known_is_marked_and_kept_once_a_fact() -> None:
    replies = {WHEN.text: "It was built in 1889.", YEAR_OF.text: "1889", PAINT.text: "A good wind."}
    writer = ScriptedWriter(answering=replies.__getitem__)
    cloze = Pair(
        Question("p0001", 'Complete this sentence: "It was built in ..."', CLOZE, YEAR), "…", False, quoted=True
    )
    paint = Pair(PAINT, "Brown paint keeps it off.", sampled=False)
    pairs = [Pair(WHEN, "In 1889.", False), Pair(WHEN, "1889.", True), Pair(YEAR_OF, "1889.", False), cloze, paint]
    dropped: Counter[str] = Counter()
    told: list[tuple[int, int]] = []
    kept = asyncio.run(mark_known(writer, pairs, dropped, lambda done, of: told.append((done, of))))
    assert told == [(1, 3), (2, 3), (3, 3)]
    assert [(pair.question, pair.known, pair.sampled) for pair in kept] == [
        (WHEN, True, False),
        (cloze.question, False, False),
        (PAINT, False, False),
    ]
    assert dropped == {KNOWN: 2}
    assert sorted(writer.asked) == sorted(replies), "each question once, and none by rule"


def test_an_open_question_is_graded_by_the_teachers_answer() -> None:
    writer = ScriptedWriter(answering=lambda _: "Brown paint keeps the rust off.")
    paint = Pair(PAINT, "Brown paint keeps it off.", sampled=False)
    (pair,) = asyncio.run(mark_known(writer, [paint], Counter()))
    assert pair.known


def test_each_pair_tells_how_sure_the_model_was_without_the_passage() -> None:
    writer = ScriptedWriter(answering=lambda _: "A good wind.", logprob=-0.7)
    cloze = Pair(Question("p0001", "Complete this sentence.", CLOZE, YEAR), "…", False, quoted=True)
    pairs = [Pair(PAINT, "Brown paint.", False), Pair(PAINT, "Paint.", True), cloze]
    kept = asyncio.run(mark_known(writer, pairs, Counter()))
    assert [(pair.known, pair.closed_book) for pair in kept] == [(False, -0.7), (False, -0.7), (False, None)]


GULL_HILL = Fact(Kind.NAME, "Gull Hill", "Gull Hill", "", "")
HILL = Question("p0001", "On which hill does the old mill of Stroud stand?", "name", GULL_HILL)
OPEN_HILL = Question("p0001", "On which hill does the old mill of Stroud stand, and how tall is it?", OPEN, None)


@pytest.mark.parametrize(
    ("question", "said", "known"),
    [
        (HILL, "The old mill of Stroud stands on a hill.", False),
        (HILL, "It stands on Gull Hill.", True),
        (OPEN_HILL, "The old mill of Stroud stands on a tall hill.", False),
        (OPEN_HILL, "The old mill of Stroud stands on Gull Hill, 90 metres tall.", True),
    ],
)
def test_what_the_question_says_is_no_knowledge(question: Question, said: str, known: bool) -> None:
    taught = Pair(question, "The old mill of Stroud stands on Gull Hill, which is 90 metres tall.", sampled=False)
    (pair,) = asyncio.run(mark_known(ScriptedWriter(answering=lambda _: said), [taught], Counter()))
    assert pair.known is known


@pytest.mark.parametrize(
    ("question", "said", "known"),
    [
        (
            "Of what were the old mill of Stroud and the old barn of Stroud built?",
            "The old mill of Stroud was built.",
            False,
        ),
        ("How many rooms and beds has it?", "It has twenty two rooms and 1,200 beds.", True),
    ],
)
def test_what_is_new_in_a_reference_is_read_in_its_order(question: str, said: str, known: bool) -> None:
    answer = "It has twenty-two rooms and 1,200 beds." if known else "The old mill of Stroud was built of oak."
    asked = Pair(Question("p0001", question, OPEN, None), answer, sampled=False)
    (pair,) = asyncio.run(mark_known(ScriptedWriter(answering=lambda _: said), [asked], Counter()))
    assert pair.known is known
