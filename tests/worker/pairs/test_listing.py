"""Listed questions: what is kept of a model's lists, and what becomes of a model that lists nothing."""

import asyncio

import pytest

from tests.worker.pairs.scripted import ScriptedWriter
from worker.pairs import filters, listing
from worker.pairs.asking import MOST_LISTS, Asked, Asking, ask
from worker.pairs.facts import facts_of
from worker.pairs.listing import MOST_ANSWERS, YES_OR_NO, write_for_answers, write_listed
from worker.pairs.outline import outline_of
from worker.pairs.passages import Passage
from worker.pairs.writer import Sampling
from worker.pairs.writing import OPEN, TURNED, Written

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


FOR_ANSWERS = """- Ada Pellrow: Who founded the Hollin Museum?
- 1962: In which year was the museum founded?
- Sundays: On which days ...?
- plum cake: What does it sell?
- 1991: Did a flood close the museum?
- Tarn Mill: Who founded the Hollin Museum in 1962?"""


def lists_by(_: str) -> str:
    return FOR_ANSWERS if "for each of these answers" in _ else LIST


def free(writer: ScriptedWriter) -> list[Sampling]:
    """How the lists that no answers are given for are sampled."""
    return [how for asked, how in zip(writer.asked, writer.samplings, strict=True) if "these answers" not in asked]


def listed(asked: Asked) -> list[str]:
    return [question.text for question in asked.questions if question.kind == OPEN]


def asked_by(writer: ScriptedWriter, per_fact: int = 2) -> Asked:
    return asyncio.run(ask(writer, [PASSAGE], Asking(per_fact, 0.8, strong=False, lists=True), lambda *_: None))


def test_the_usable_questions_of_a_list_are_kept_and_the_others_counted() -> None:
    writer = ScriptedWriter(answering=lambda _: LIST)
    written = asyncio.run(write_listed(writer, PASSAGE, outline_of([PASSAGE]), Sampling()))
    assert [question.text for question in written.questions] == [
        "Who founded the Hollin Museum?",
        "What closed the Hollin Museum in 1991?",
        "On which day does the café sell plum cake?",
    ]
    assert {question.kind for question in written.questions} == {OPEN}
    assert written.dropped == {YES_OR_NO: 1, filters.NOT_SELF_CONTAINED: 1, filters.INVENTS: 1}
    assert writer.asked[0].startswith(f"Hollin Museum\n\n{TEXT}")


def test_a_text_that_tells_of_its_author_is_listed_after_one_that_does() -> None:
    text = "I moved to Stroud in 1962 with my sister. We opened a small museum of model boats there."
    own = Passage("p0001", "doc_1", "", None, text, text)
    asked = "What did the author open in Stroud?"
    for passage, shown, kept in ((own, "my first kayak", [asked]), (PASSAGE, "Ormsby Clock Tower", [])):
        writer = ScriptedWriter(answering=lambda _: asked)
        written = asyncio.run(write_listed(writer, passage, outline_of([passage]), Sampling()))
        assert shown in writer.chats[0][0]["content"]
        assert [question.text for question in written.questions] == kept


@pytest.mark.parametrize(
    ("title", "text", "questions"),
    [(listing._TITLE, listing._TEXT, listing._QUESTIONS), ("", listing._OWN_TEXT, listing._OWN_QUESTIONS)],
)
def test_the_questions_that_a_model_is_shown_are_such_as_are_kept(
    title: str, text: str, questions: tuple[str, ...]
) -> None:
    passage = Passage("p0001", "doc_1", title, None, text, text)
    dropped = {each: listing.checked(each, passage, outline_of([passage]))[1] for each in questions}
    assert dropped == dict.fromkeys(questions)


def test_lists_are_asked_for_once_more_and_hotter_where_facts_are_not_reached() -> None:
    all_of_it, some = ScriptedWriter(answering=lambda _: LIST), ScriptedWriter(answering=lambda _: LIST.splitlines()[2])
    asked_by(all_of_it)
    assert len(free(all_of_it)) == 1
    asked = asked_by(some)
    first, second = free(some)
    assert second.temperature > first.temperature >= 1
    assert listed(asked) == ["What closed the Hollin Museum in 1991?"]


def test_the_more_questions_a_fact_is_to_have_the_more_lists_there_are() -> None:
    lists = []
    for per_fact in (3, 6, 12):  # quick, standard, thorough
        writer = ScriptedWriter(answering=lambda _: LIST)
        asked_by(writer, per_fact)
        lists.append(free(writer)[0].n)
        assert len(writer.samplings) == 1 + lists[-1]  # as many again are for answers
    assert lists == sorted(set(lists))
    assert lists[-1] <= MOST_LISTS


def asked_for(writer: ScriptedWriter, passage: Passage = PASSAGE, lists: int = 1) -> tuple[dict[str, Written], Written]:
    outline = outline_of([passage])
    facts = facts_of(passage.focus, outline.subject.bare)
    found, others = asyncio.run(write_for_answers(writer, passage, facts, outline, Sampling(lists)))
    return {each.fact.target: each.written for each in found}, others


def test_a_question_belongs_to_the_answer_that_it_was_listed_for() -> None:
    found, others = asked_for(ScriptedWriter(answering=lists_by))
    asked = {target: [question.text for question in written.questions] for target, written in found.items()}
    assert asked == {
        "Ada Pellrow": ["Who founded the Hollin Museum?"],
        "1962": ["In which year was the Hollin Museum founded?"],
        **{target: [] for target in asked if target not in {"Ada Pellrow", "1962"}},
    }
    assert found["1991"].dropped == {YES_OR_NO: 1}
    assert found["Sundays"].dropped == {filters.UNFINISHED: 1}, "an opening that was copied is no question"
    assert [question.text for question in others.questions] == ["Who founded the Hollin Museum in 1962?"]
    assert others.dropped == {filters.NOT_SELF_CONTAINED: 1}, "what was listed for no answer is looked at as any other"


@pytest.mark.parametrize("mark", ["- ", "1. ", "* ", "– ", ""])
@pytest.mark.parametrize("between", [": ", '": ', " – ", " - ", "**: "])
def test_the_marks_of_a_list_do_not_matter(mark: str, between: str) -> None:
    line = f"{mark}{'**' if '*' in between else ''}Ada Pellrow{between}Who founded the Hollin Museum?"
    found, _ = asked_for(ScriptedWriter(answering=lambda _: line))
    assert [question.text for question in found["Ada Pellrow"].questions] == ["Who founded the Hollin Museum?"]


def test_one_answer_is_asked_for_once_and_no_request_is_sent_twice() -> None:
    text = "The Hollin Museum opens on Sundays. The café of the Hollin Museum sells cake on Sundays."
    passage = Passage("p0001", "doc_1", "The Hollin Museum", None, text, text)
    writer = ScriptedWriter(answering=lists_by)
    asked_for(writer, passage, lists=6)
    assert all(asked.count("- Sundays") == 1 for asked in writer.asked)
    assert len(writer.asked) == len(set(writer.asked))
    facts = [fact for fact in facts_of(text, "Hollin Museum") if fact.target == "Sundays"]
    found, _ = asyncio.run(write_for_answers(writer, passage, facts, outline_of([passage]), Sampling()))
    assert [each.fact for each in found] == facts[:1]
    assert len(facts) == 2


def test_every_other_list_says_how_its_questions_begin() -> None:
    writer = ScriptedWriter(answering=lists_by)
    asked_for(writer, lists=4)
    assert ["that begins as shown" in asked for asked in writer.asked] == [False, True, False, True]
    plain, begun, other, _ = (asked.splitlines()[-5:] for asked in writer.asked)
    assert sorted(plain) == sorted(other) != other
    assert plain != other, "the facts come in another order"
    assert all(line.endswith(" ...?") and line.partition(":")[0] in plain for line in begun)


def test_many_facts_are_asked_for_in_several_lists() -> None:
    text = " ".join(f"The Hollin Museum got {number} boats in {1900 + number}." for number in range(11, 20))
    passage = Passage("p0001", "doc_1", "The Hollin Museum", None, text, text)
    writer = ScriptedWriter(answering=lists_by)
    found, _ = asked_for(writer, passage)
    lines = [[line for line in asked.splitlines() if line.startswith("- ")] for asked in writer.asked]
    assert [len(listed) for listed in lines] == [MOST_ANSWERS, len(found) - MOST_ANSWERS]
    assert len({line for listed in lines for line in listed}) == len(found)


def test_what_is_listed_for_a_fact_comes_before_what_is_listed_freely() -> None:
    asked = listed(asked_by(ScriptedWriter(answering=lists_by), per_fact=1))
    assert asked[0] == "In which year was the Hollin Museum founded?"
    assert "What closed the Hollin Museum in 1991?" in asked


def test_each_fact_is_asked_for_by_rule_as_well() -> None:
    asked = asked_by(ScriptedWriter(answering=lists_by))
    by_rule = {question.text for question in asked.questions if question.kind == TURNED}
    assert "By whom was the Hollin Museum founded?" in by_rule
    assert asked.covered == 0, "which facts the listed ones ask for is not known yet"


def test_a_model_that_lists_nothing_is_led() -> None:
    asked = asked_by(ScriptedWriter(going_on=lambda _: " founded the Hollin Museum", answering=lambda _: "[]"))
    assert "Who founded the Hollin Museum?" in {question.text for question in asked.questions}
