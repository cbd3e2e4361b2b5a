import asyncio

from tests.worker.pairs.scripted import ScriptedWriter
from worker.pairs import filters
from worker.pairs.answering import Pair
from worker.pairs.asking import Asked, Asking, ask
from worker.pairs.coverage import measure
from worker.pairs.outline import outline_of
from worker.pairs.passages import split

TERMS = "Acme Ltd was founded by Ada Pell in 1962."


def asked_about(text: str, going_on: str) -> Asked:
    passages = split("doc_1", "Acme Ltd", text, words=1)
    writer = ScriptedWriter(going_on=lambda _: going_on)
    return asyncio.run(ask(writer, passages, Asking(per_fact=4, temperature=0.8, strong=False), lambda *_: None))


def test_a_sentence_that_stands_there_twice_is_asked_about_as_if_it_stood_there_once() -> None:
    once = asked_about(TERMS, "")
    twice = asked_about(f"{TERMS}\n\n## Summary\n\n{TERMS}", "")
    assert once.questions
    assert [question.text for question in twice.questions] == [question.text for question in once.questions]
    assert filters.TWICE not in twice.dropped


def test_what_one_passage_is_asked_covers_another_with_its_text() -> None:
    passages = split("doc_1", "Acme Ltd", f"{TERMS}\n\n## Summary\n\n{TERMS}", words=1)
    subjects = {"doc_1": outline_of(passages).subject}
    pairs = [Pair(question, TERMS, sampled=False) for question in asked_about(TERMS, "").questions]
    covered = measure(pairs, {passage.id: passage for passage in passages}, subjects)
    assert (covered.sentences, covered.covered, covered.gaps) == (2, 2, ())


def test_one_question_for_two_answers_is_dropped() -> None:
    asked = asked_about("Acme Ltd was founded in 1962.\n\nAcme Ltd was sold in 1974.", " year of Acme Ltd was it")
    assert asked.dropped[filters.TWICE] > 0
    assert not any("year of Acme Ltd was it" in question.text for question in asked.questions)
