from collections import Counter
from dataclasses import replace

import pytest

from worker.pairs.answering import Pair
from worker.pairs.coverage import measure
from worker.pairs.facts import facts_of
from worker.pairs.held_out import hold_out, most_held_out
from worker.pairs.passages import Passage, split
from worker.pairs.subjects import Subject
from worker.pairs.writing import Question

SUBJECTS = {f"doc_{number}": Subject("the mill", "mill", None) for number in range(60)}


def mills(facts: int, questions: int, document: str = "doc_1") -> tuple[list[Pair], dict[str, Passage]]:
    """Pairs of a document: a greedy and a sampled one for each of the questions of each of its facts."""
    made, passages = [], {}
    for number in range(facts):
        text = f"Mill number {number} has {number + 100} doors."
        (passage,) = split(document, "T", text, words=1, first=number)
        passage = replace(passage, id=f"{document}/{passage.id}")
        passages[passage.id] = passage
        (fact,) = [fact for fact in facts_of(passage.focus) if fact.target.endswith("doors")]
        for way in range(questions):
            question = Question(passage.id, f"Way {way} to ask of mill {number} in {document}?", fact.kind.value, fact)
            made += [
                Pair(question, f"It has {number + 100}.", sampled=False),
                Pair(question, "Many.", sampled=True),
            ]
    return made, passages


def held(pairs: list[Pair], passages: dict[str, Passage], seed: int = 0) -> set[str]:
    return {pair.question.text for pair in hold_out(pairs, passages, SUBJECTS, seed) if pair.held_out}


def test_held_out_questions_are_about_facts_that_training_covers() -> None:
    pairs, passages = mills(20, 4)
    split_up = hold_out(pairs, passages, SUBJECTS, seed=1)
    asked = {pair.question.text for pair in split_up if pair.held_out}
    trained = [pair.question for pair in split_up if not pair.held_out]
    assert len(asked) == 8
    assert asked.isdisjoint(question.text for question in trained)
    assert {pair.question.fact for pair in split_up if pair.held_out} <= {question.fact for question in trained}
    assert not any(pair.sampled for pair in split_up if pair.held_out)
    assert hold_out(pairs, passages, SUBJECTS, seed=1) == split_up
    assert hold_out(pairs, passages, SUBJECTS, seed=2) != split_up


@pytest.mark.parametrize(("facts", "questions", "many"), [(5, 3, 4), (100, 5, 24), (3, 1, 0)])
def test_held_out_bounds_of_one_document(facts: int, questions: int, many: int) -> None:
    assert len(held(*mills(facts, questions))) == many


def test_of_many_documents_each_has_a_question_held_out() -> None:
    pairs, passages = mills(40, 5, "doc_0")
    for number in range(1, 60):  # two questions of a fact are enough where a document has no better one
        more, further = mills(1, 2 if number > 30 else 3, f"doc_{number}")
        pairs, passages = pairs + more, passages | further
    asked = Counter(text.rpartition(" ")[2] for text in held(pairs, passages, seed=3))
    assert (len(asked), sum(asked.values())) == (60, 60)
    assert [most_held_out(documents) for documents in (1, 2, 100)] == [24, 26, 200]


@pytest.mark.parametrize(
    ("poor", "questions", "rich", "held_out", "of_rich"),
    [
        (30, 3, 10, 10, 10),  # of 14, half are there already
        (96, 3, 4, 12, 4),  # of 24, half
        (30, 3, 1, 5, 1),  # of 10, half
        (30, 2, 6, 6, 6),
        (30, 2, 1, 4, 1),
    ],
)
def test_facts_with_few_questions_are_spared(poor: int, questions: int, rich: int, held_out: int, of_rich: int) -> None:
    pairs, passages = mills(poor, questions)
    richer, further = mills(poor + rich, 5)  # the same facts and others
    more = [pair for pair in richer if pair.question.passage_id not in passages]
    texts = {pair.question.text for pair in more}
    for seed in range(4):
        asked = held(pairs + more, passages | further, seed)
        assert (len(asked), len(asked & texts)) == (held_out, of_rich)


def test_documents_take_turns() -> None:
    one, two = mills(30, 4, "doc_1"), mills(8, 4, "doc_2")
    asked = held(one[0] + two[0], one[1] | two[1])
    assert sorted(Counter(text.rpartition(" ")[2] for text in asked).values()) == [7, 8]


def test_a_question_that_alone_covers_a_sentence_is_not_held_out() -> None:
    text = "The old mill has 100 doors. Its red doors were painted by hand in Velm."
    (passage,) = split("doc_1", "T", text, words=40)
    passages = {passage.id: passage}
    (fact,) = [fact for fact in facts_of(passage.focus) if fact.target == "100 doors"]

    def pair(question: str, answer: str) -> Pair:
        return Pair(Question(passage.id, question, fact.kind.value, fact), answer, sampled=False)

    plain = [pair(f"How many doors has it, way {way}?", "It has 100 doors.") for way in range(2)]
    alone = pair("How many doors has it, and what of them?", f"It has 100 doors. {text.partition('. ')[2]}")
    for seed in range(8):
        split_up = hold_out([*plain, alone], passages, SUBJECTS, seed)
        trained = [pair for pair in split_up if not pair.held_out]
        assert alone in trained
        assert measure(trained, passages, SUBJECTS).gaps == ()


def test_only_what_is_right_in_the_exam_is_held_out() -> None:
    pairs, passages = mills(20, 4)
    otherwise = [replace(pair, answer="It has a great many doors.") for pair in pairs]
    several = [replace(pair, question=replace(pair.question, fact=None)) for pair in pairs]
    assert held(pairs, passages)
    assert not held(otherwise, passages)
    assert not held(several, passages)
    right = ("Way 0", "Way 1")
    some = [one if one.question.text.startswith(right) else other for one, other in zip(pairs, otherwise, strict=True)]
    assert {text[:5] for text in held(some, passages)} == {*right}
