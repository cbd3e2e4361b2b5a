"""Listed questions: what is kept of a model's lists, and what becomes of a model that lists nothing."""

import asyncio

from tests.worker.pairs.scripted import ScriptedWriter
from worker.pairs import filters
from worker.pairs.asking import MOST_LISTS, Asked, Asking, ask
from worker.pairs.listing import YES_OR_NO, write_listed
from worker.pairs.outline import outline_of
from worker.pairs.passages import Passage
from worker.pairs.writer import Sampling
from worker.pairs.writing import OPEN

TEXT = (
    "The Hollin Museum was founded by Ada Pellrow in 1962. Its café sells plum cake on Sundays. In 1991 a flood closed "
    "the museum for three years."
)
PASSAGE = Passage("p0001", "doc_1", "The Hollin Museum", None, TEXT, TEXT)
LIST = """1. Who founded the Hollin Museum?
2. Was the Hollin Museum founded in 1962?
3. What closed the museum in 1991?
4. On which day does the café sell plum cake?
5. What does it sell?
6. Who founded the Tarn Mill?
7. In which year was the"""


def asked_by(writer: ScriptedWriter, per_fact: int = 2) -> Asked:
    return asyncio.run(ask(writer, [PASSAGE], Asking(per_fact, 0.8, strong=False, lists=True), lambda *_: None))


def test_the_usable_questions_of_a_list_are_kept_and_the_others_counted() -> None:
    writer = ScriptedWriter(answering=lambda _: LIST)
    written = asyncio.run(write_listed(writer, PASSAGE, outline_of([PASSAGE]), Sampling()))
    assert [question.text for question in written.questions] == [
        "Who founded the Hollin Museum?",
        "What closed the museum in 1991?",
        "On which day does the café sell plum cake?",
    ]
    assert {question.kind for question in written.questions} == {OPEN}
    assert written.dropped == {YES_OR_NO: 1, filters.NOT_SELF_CONTAINED: 1, filters.INVENTS: 1}
    assert writer.asked[0].startswith(f"Hollin Museum\n\n{TEXT}")


def test_lists_are_asked_for_once_more_and_hotter_where_facts_are_not_reached() -> None:
    all_of_it, some = ScriptedWriter(answering=lambda _: LIST), ScriptedWriter(answering=lambda _: LIST.splitlines()[0])
    asked_by(all_of_it)
    assert len(all_of_it.samplings) == 1
    asked = asked_by(some)
    first, second = some.samplings
    assert second.temperature > first.temperature >= 1
    assert [question.text for question in asked.questions] == ["Who founded the Hollin Museum?"]


def test_the_more_questions_a_fact_is_to_have_the_more_lists_there_are() -> None:
    lists = []
    for per_fact in (3, 6, 12):  # quick, standard, thorough
        writer = ScriptedWriter(answering=lambda _: LIST)
        asked_by(writer, per_fact)
        lists.append(writer.samplings[0].n)
    assert lists == sorted(set(lists))
    assert lists[-1] <= MOST_LISTS


def test_a_model_that_lists_nothing_is_led() -> None:
    asked = asked_by(ScriptedWriter(going_on=lambda _: " founded the Hollin Museum", answering=lambda _: "[]"))
    assert "Who founded the Hollin Museum?" in {question.text for question in asked.questions}
