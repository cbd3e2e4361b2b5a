"""Questions turned out of sentences: each is grammatical, names what it is about, and leaves out its answer."""

import pytest

from worker.pairs.asking import worth_asking
from worker.pairs.outline import outline_of
from worker.pairs.passages import Passage, split
from worker.pairs.subjects import Subject
from worker.pairs.writing import Question, by_rule, resolved_sentence

TEXT = """# The Brill Bakery

The Brill Bakery was founded in 1987 by Ada Pell, a former diver. She chose the mill because its walls are thick.
The bakery is known for its rye loaf, which is called the Keeper.
Each Keeper weighs 900 grams and is baked for eleven hours. Its secret ingredient is dried kelp.
Since 2014 the bakery has been run by Tomas Berg. In 2019 it won the Golden Sheaf.
A grey cat named Pilot sleeps there. Clean the oven daily, because soot burns.
Visitors reach the island on the ferry Brindle, which sails from the port of Hask.
"""


@pytest.fixture(scope="module")
def asked() -> dict[str, list[Question]]:
    """The questions by rule, by the fact that they ask for."""
    passages = split("doc_1", "The Brill Bakery", TEXT, 1)
    subject = outline_of(passages).subject
    found: dict[str, list[Question]] = {}
    for passage in passages:
        for fact in worth_asking(passage, subject):
            found.setdefault(fact.target, []).extend(by_rule(passage, fact, subject))
    return found


@pytest.mark.parametrize(
    ("target", "question"),
    [
        ("1987", "When was the Brill Bakery founded?"),
        ("Ada Pell", "Who founded the Brill Bakery?"),
        ("because its walls are thick", "Why is it that Ada Pell chose the mill?"),
        ("Keeper", "What is the name of the rye loaf at the Brill Bakery?"),
        ("eleven hours", "How long is each Keeper baked?"),
        ("dried kelp", "What is the secret ingredient of the Keeper?"),
        ("Tomas Berg", "Who has run the Brill Bakery?"),
        ("Golden Sheaf", "Tell me about the Golden Sheaf."),
        ("Pilot", "What is the name of the grey cat at the Brill Bakery?"),
        ("Brindle", "Visitors reach the island on which ferry at the Brill Bakery?"),
    ],
)
def test_a_fact_is_asked_in_the_words_of_its_sentence(
    asked: dict[str, list[Question]], target: str, question: str
) -> None:
    assert question in [each.text for each in asked[target]]


@pytest.mark.parametrize(
    "sentence",
    ["The oven that was brought from the town of Sill is old.", "Bread is sold at the mill or on the ferry Brindle."],
)
def test_a_part_of_a_sentence_is_no_question(sentence: str) -> None:
    (passage,) = split("doc_1", "The Brill Bakery", sentence, 9)
    facts = worth_asking(passage, Subject("the Brill Bakery", "Brill Bakery", None))
    texts = [each.text for fact in facts for each in by_rule(passage, fact, Subject("", "", None))]
    assert facts
    assert not [text for text in texts if " which " in text]


def test_a_command_has_no_reason_question(asked: dict[str, list[Question]]) -> None:
    assert not [each.text for each in asked["because soot burns"] if each.kind == "turned"]


@pytest.mark.parametrize(
    ("sentence", "asked"),
    [
        ("Clean Brill Bakery Ovens once a day with vinegar, because soot burns.", False),
        ("Clean Brill Bakery Ovens with old rags, because soot burns.", False),
        ("Clean Brill Bakery Ovens when the stone is cold, because soot burns.", False),
        ("Brill Bakery Ovens run on peat, because wood is rare.", False),
        ("Brill Bakery Ovens stood still, because wood was rare.", True),
        ("Brill Bakery Ovens made no bread, because wood was rare.", True),
        ("The staff keep quiet at night, because the walls are thin.", True),
    ],
)
def test_a_clause_has_a_reason_only_if_its_verb_is_certain(sentence: str, asked: bool) -> None:
    subject = Subject("Brill Bakery Ovens", "Brill Bakery Ovens", None)
    (passage,) = split("doc_1", "Brill Bakery Ovens", sentence, 9)
    (reason,) = [fact for fact in worth_asking(passage, subject) if fact.target.startswith("because")]
    assert any(each.kind == "turned" for each in by_rule(passage, reason, subject)) is asked


@pytest.mark.parametrize(
    ("before", "focus", "expected"),
    [
        ("The mill was built by Ada Pell.", "She liked it.", "Ada Pell liked it."),
        ("Each Keeper is round.", "Its crust is black.", "The Keeper's crust is black."),
        ("", "In 2019 it won a prize.", "In 2019 the Brill Bakery won a prize."),
        ("The Brill Bakery is old.", "It has two ovens.", "The Brill Bakery has two ovens."),
    ],
)
def test_a_leading_pronoun_is_resolved(before: str, focus: str, expected: str) -> None:
    text = f"{before} {focus}".strip()
    passage = Passage("p0001", "doc_1", "The Brill Bakery", None, text, focus)
    assert resolved_sentence(passage, Subject("the Brill Bakery", "Brill Bakery", "the bakery")) == expected
