import time
from collections import Counter

import pytest

from worker.pairs import filters
from worker.pairs.facts import Fact, Kind
from worker.pairs.outline import outline_of
from worker.pairs.passages import split

PASSAGE = "The Hollin Museum holds 460 model boats, and the largest exhibit is the steamer Blue Heron."
OUTLINE = outline_of(split("doc_1", "The Hollin Museum", f"{PASSAGE} It opened in 1962.", words=1))
BOATS = Fact(Kind.QUANTITY, "460 model boats", "460", "The Hollin Museum holds ", ", and the largest ...")


@pytest.mark.parametrize(
    ("question", "reason"),
    [
        ("How many model boats does the Hollin Museum hold?", None),
        ("At the Hollin Museum, how many boats are there?", None),
        ("What is the name of the Hollin Museum and its largest exhibit?", None),
        ("What is the Hollin Museum?", filters.VAGUE),
        ("Who founded the Hollin Museum?", None),
        ("How much is the number of the Hollin Museum?", filters.VAGUE),
        ("How many boats opened the Hollin Museum?", filters.ELSEWHERE),
        ("How many model boats does the Hollin Museum", filters.UNFINISHED),
        ("The Hollin Museum holds boats?", filters.UNFINISHED),
        ("The Hollin Museum holds how many model boats?", None),
        ("The largest exhibit of the Hollin Museum is what?", None),
        ("The Hollin Museum shows the Blue Heron to whom?", None),
        ("The Hollin Museum, which holds model boats, is a museum?", filters.UNFINISHED),
        ("The Hollin Museum opened when the boats came?", filters.UNFINISHED),
        ("The Hollin Museum holds the steamer in which model boats are held?", filters.UNFINISHED),
        ("The Hollin Museum is known for what it holds?", filters.UNFINISHED),
        ("Between the model boats is the Hollin Museum?", filters.UNFINISHED),
        ("Around which exhibit does the Hollin Museum show model boats?", None),
        ("How many boats are in the Hollin Museum? And why?", filters.UNFINISHED),
        ("How many model boats does the museum hold?", filters.NAMES_NOTHING),
        ("According to the text, how many boats has the Hollin Museum?", filters.NOT_SELF_CONTAINED),
        ("How many boats does it hold at the Hollin Museum?", filters.NOT_SELF_CONTAINED),
        ("Which boats of the Hollin Museum are 460 in number?", filters.LEAKS),
        ("How many boats did the Hollin Museum sell to Elgin?", filters.INVENTS),
        ("How many of the 900 boats does the Hollin Museum show?", filters.INVENTS),
        ("What " + "very " * 50 + "old boats has the Hollin Museum?", filters.TOO_LONG),
        ("What of the boats of the boats of the Hollin Museum?", filters.TOO_LONG),
    ],
)
def test_why_a_question_is_dropped(question: str, reason: str | None) -> None:
    assert filters.fault(question, PASSAGE, BOATS, OUTLINE) == reason


def test_a_question_that_copies_its_sentence_is_dropped() -> None:
    passage = "The Blue Heron is a paddle steamer which was built by hand for the Sarne."
    question = "Is the Blue Heron is a paddle steamer which was built by hand for the Sarne?"
    assert filters.fault(question, passage, None, OUTLINE) == filters.COPY


@pytest.mark.parametrize(
    ("text", "own"),
    [
        ("", False),
        ("It was closed in World War I, and after World War I again.", False),
        ("Elizabeth I was queen. Francis I of France and Francis I’s son came.", False),
        ("The mine opened in 1890, and the mine closed in 1901.", False),
        ("The Church of My Lady is near My Lai.", False),
        ('Ada said: "Yes, I love my boats, and I sell them, I think."', False),
        ("In type I diabetes it is low.", False),
        ("I build some of them, and I sell them.", True),
        ("I’m a builder of my own boats.", True),
        ("My sister told me.", True),
        ("They saw me, but I left.", True),
    ],
)
def test_the_author_may_be_asked_about_where_the_text_is_about_oneself(text: str, own: bool) -> None:
    assert filters.is_of_oneself(text) is own
    question = "What model boats does the author build for the Hollin Museum?"
    told = filters.fault(question, f"{PASSAGE} {text}", None, OUTLINE)
    assert told == (None if own else filters.NOT_SELF_CONTAINED)


@pytest.mark.parametrize(
    ("answer", "refusal"),
    [
        ("The passage does not mention it.", True),
        ("It is not specified.", True),
        ("I'm sorry, but I cannot answer.", True),
        ("The museum opened in 1962.", False),
        ("The society was not founded in Malta.", False),
    ],
)
def test_refusals(answer: str, refusal: bool) -> None:
    assert filters.refuses(answer, "The Hollin Museum opened in 1962.") is refusal


def test_what_the_passage_says_itself_is_no_refusal() -> None:
    terms = "The deposit is not given back. No information is passed on."
    assert not filters.refuses("The deposit is not given back.", terms)
    assert not filters.refuses("No  information is passed on.", terms)
    assert filters.refuses("The price is not given, and no information is passed on.", "No information is passed on.")


def test_a_name_is_found_whole_among_thousands_in_no_time() -> None:
    names = frozenset(f"place {number} of {number % 7}" for number in range(6000)) | {"ada", "ada pell", "(sic) mill"}
    assert filters.names_something("Who met Ada Pell?", names)
    assert filters.names_something("Who built the (sic) mill?", names)
    assert not filters.names_something("Who built Adam's place 77 of 12?", names)
    assert not filters.names_something("Who?", frozenset())
    began = time.monotonic()
    for number in range(500):
        assert not filters.names_something(f"In which year was the pavilion of number {number} painted red?", names)
    assert time.monotonic() - began < 2


def test_choosing_prefers_what_is_sure_and_drops_what_is_nearly_the_same() -> None:
    dropped: Counter[str] = Counter()
    chosen = filters.choose(
        [
            "How many boats does the Hollin Museum hold?",
            "How many boats does Hollin Museum hold?",
            "How much do the cigar barrels of the Hollin Museum weigh?",
            "How many boats does the Hollin Museum hold?",
            "What is the number of model boats in the Hollin Museum?",
        ],
        count=3,
        known=PASSAGE,
        dropped=dropped,
    )
    assert chosen[0] == "How many boats does the Hollin Museum hold?"
    assert chosen[1] == "What is the number of model boats in the Hollin Museum?"
    assert dropped[filters.NEAR_DUPLICATE] == 1
    assert dropped[filters.ENOUGH] == 1


def test_cleaning_takes_off_quotes_and_list_marks() -> None:
    assert filters.clean(' 3. "who built\n the mill?" ') == "Who built the mill?"


def test_a_name_of_any_alphabet_can_be_invented() -> None:
    assert filters.invents("It was visited by Żeromski.", "It was visited by Reymont.")
    assert not filters.invents("It was visited by Żeromski.", "Żeromski came to Łódź.")
