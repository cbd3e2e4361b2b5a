"""Which sentence a question asks about: told by the words that it shares with each."""

import pytest

from worker.pairs.facts import Fact, facts_of
from worker.pairs.grounding import Tie, is_no_answer, may_ask, tie
from worker.pairs.passages import Passage
from worker.pairs.sentences import own_sentences, sentence_with
from worker.pairs.subjects import Subject

TEXT = (
    "Since 2014 the Brack Bakery has been run by Tomas Ekberg. In 2019 it won the Golden Sheaf, a prize for baking. "
    "A grey cat named Pilot sleeps beside the oven. The black rye loaf weighs 900 grams."
)
PASSAGE = Passage("p0001", "doc_1", "The Brack Bakery", None, TEXT, TEXT)
SUBJECT = Subject("the Brack Bakery", "Brack Bakery", "the bakery")


def fact(target: str) -> Fact:
    return next(fact for fact in facts_of(TEXT, SUBJECT.bare) if fact.target == target)


def of(target: str) -> str:
    """The sentence that a fact stands in."""
    return sentence_with(fact(target), own_sentences(PASSAGE))


@pytest.mark.parametrize(
    ("question", "target", "expected"),
    [
        ("Who runs the Brack Bakery?", "Tomas Ekberg", Tie.BEST),
        ("Who won the Golden Sheaf?", "Tomas Ekberg", Tie.OTHER),
        ("Who has a grey cat named Pilot?", "Tomas Ekberg", Tie.OTHER),
        ("What is the name of the grey cat at the Brack Bakery?", "Golden Sheaf", Tie.OTHER),
        ("What is the name of the grey cat at the Brack Bakery?", "Pilot", Tie.BEST),
        ("How was the Brack Bakery run in 2019?", "Tomas Ekberg", Tie.OTHER),
        ("How was the Brack Bakery run in 2014?", "Tomas Ekberg", Tie.BEST),
        ("Does the cat sleep on the loaf?", "Pilot", Tie.BEST),
        ("Does the cat like the black rye loaf?", "Pilot", Tie.EVEN),
        ("What is the weight of the loaf?", "900 grams", Tie.BEST),
        ("Who is at the Brack Bakery?", "Tomas Ekberg", Tie.COMMON),
        ("Who operates the Brack Bakery?", "Tomas Ekberg", Tie.FOREIGN),
        ("In which town is the Brack Bakery?", "Tomas Ekberg", Tie.COMMON),
        ("What did the Brack Bakery win?", "Golden Sheaf", Tie.BEST),
        ("What did the Brack Bakery ‘win’?", "Golden Sheaf", Tie.BEST),
        ("Where did the cat sleep?", "Pilot", Tie.BEST),
        ("What weight has it?", "900 grams", Tie.BEST),
    ],
)
def test_how_the_words_of_a_question_stand_to_the_sentence_of_a_fact(question: str, target: str, expected: Tie) -> None:
    assert tie(question, of(target), PASSAGE, SUBJECT) is expected


def test_a_question_without_words_of_a_sentence_may_ask_by_its_opening_alone() -> None:
    assert may_ask("Where is the Brack Bakery?", of("Golden Sheaf"), PASSAGE, SUBJECT)
    assert not may_ask("What is the name of the Brack Bakery?", of("Golden Sheaf"), PASSAGE, SUBJECT)
    assert not may_ask("Who operates the Brack Bakery?", of("Tomas Ekberg"), PASSAGE, SUBJECT)
    assert not may_ask("Who won the Golden Sheaf?", of("Tomas Ekberg"), PASSAGE, SUBJECT)


def test_a_sentence_that_only_the_context_of_a_passage_has_counts_too() -> None:
    passage = Passage("p0002", "doc_1", "The Brack Bakery", None, TEXT, "The black rye loaf weighs 900 grams.")
    assert tie("Who runs the Brack Bakery?", passage.focus, passage, SUBJECT) is Tie.OTHER


@pytest.mark.parametrize(
    ("question", "target", "expected"),
    [
        ("Where is the bakery?", "Tomas Ekberg", True),
        ("Where is the bakery?", "Golden Sheaf", False),
        ("When does the cat sleep?", "Tomas Ekberg", True),
        ("When does the cat sleep?", "Pilot", False),
        ("In which year did it win?", "2019", False),
        ("In which year did it win?", "Golden Sheaf", True),
        ("By whom is it run?", "2014", True),
        ("By whom is it run?", "Tomas Ekberg", False),
        ("Why did it win?", "2019", True),
        ("How many grams does it weigh?", "900 grams", False),
        ("How much is it?", "Pilot", True),
        ("Which prize did it win?", "2019", False),
    ],
)
def test_a_fact_of_another_sort_is_no_answer(question: str, target: str, expected: bool) -> None:
    assert is_no_answer(question, target, fact(target)) is expected


def test_a_date_may_be_a_reason() -> None:
    assert not is_no_answer("Why did it close?", "It closed because of the flood of 2019.", fact("2019"))
    assert is_no_answer("Why did it close?", "It closed in 2019.", fact("2019"))


@pytest.mark.parametrize("opening", ["Since when", "From where", "To whom", "In which month", "On which days"])
def test_an_opening_that_asks_by_itself(opening: str) -> None:
    assert may_ask(f"{opening} is the Brack Bakery?", of("Golden Sheaf"), PASSAGE, SUBJECT)
