import asyncio

from tests.worker.pairs.scripted import ScriptedWriter
from worker.pairs.kinds import CREATIVE, KINDS, MULTI_FACT, REWORDED, WHY, kinds_for, write_kinds
from worker.pairs.outline import outline_of
from worker.pairs.passages import Passage, split
from worker.pairs.writer import Sampling
from worker.pairs.writing import write_plainly

PASSAGES = split("doc_1", "The Hollin Museum", "The Hollin Museum opened in 1962 with 30 boats.", words=60)


def test_more_kinds_are_asked_for_where_more_questions_are_wanted() -> None:
    assert kinds_for(3) == ()
    assert WHY in kinds_for(6)
    assert CREATIVE not in kinds_for(6)
    assert kinds_for(12) == tuple(KINDS)


def test_each_question_has_the_kind_that_it_was_asked_for_as() -> None:
    reply = '["Why are there boats at the Hollin Museum?", "When, and with how many boats, did it open?"]'
    writer = ScriptedWriter(answering=lambda _: reply)
    written = asyncio.run(write_kinds(writer, PASSAGES[0], outline_of(PASSAGES), [WHY, MULTI_FACT], 0.8))
    assert [(question.kind, question.text) for question in written.questions] == [
        (WHY, "Why are there boats at the Hollin Museum?")
    ]
    assert written.dropped.total() == 1
    assert "1. A question that asks why or how.\n2. A question whose answer needs two facts" in writer.asked[0]


def test_no_kinds_ask_nothing() -> None:
    writer = ScriptedWriter()
    assert not asyncio.run(write_kinds(writer, PASSAGES[0], outline_of(PASSAGES), (), 0.8)).questions
    assert not writer.asked


def test_a_request_names_no_title_where_there_is_none() -> None:
    writer = ScriptedWriter(answering=lambda _: "[]")
    for title, heading in (("", None), ("", "History"), ("The Mill", "History")):
        passage = Passage("p0001", "doc_1", title, heading, "It was built in 1874.", "It was built in 1874.")
        asyncio.run(write_kinds(writer, passage, outline_of([passage]), (REWORDED,), 0.8))
        asyncio.run(write_plainly(writer, passage, outline_of([passage]), 2, (), Sampling()))
    bare, headed, titled = (writer.asked[place : place + 2] for place in (0, 2, 4))
    assert all(request.startswith("It was built in 1874.") and "about and never" in request for request in bare)
    assert all(request.startswith("History\n\nIt was built") for request in headed)
    assert all(request.startswith("The Mill (History)\n\n") and "about (The Mill)" in request for request in titled)
