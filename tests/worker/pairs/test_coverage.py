from worker.pairs.answering import Pair
from worker.pairs.coverage import Coverage, Gap, measure
from worker.pairs.facts import Fact, Kind, facts_of
from worker.pairs.passages import split
from worker.pairs.subjects import Subject
from worker.pairs.writing import Question

FOUNDED = "The Hollin Museum was founded by Ada Pell in 1962."
RED = "The boats are red because paint was cheap."
(PASSAGE,) = split("doc_1", "The Hollin Museum", f"{FOUNDED} {RED} Welcome to all of you! Do you like it?", words=60)
SUBJECTS = {"doc_1": Subject("the Hollin Museum", "Hollin Museum", "the museum")}
FACTS = {fact.target: fact for fact in facts_of(PASSAGE.focus, "Hollin Museum")}


def pair(question: str, answer: str, target: str | None = None) -> Pair:
    fact = None if target is None else FACTS[target]
    return Pair(Question(PASSAGE.id, question, "open", fact), answer, sampled=False)


def covered(*pairs: Pair) -> Coverage:
    return measure(pairs, {PASSAGE.id: PASSAGE}, SUBJECTS)


def test_sentences_that_teach_nothing_are_exempt() -> None:
    nothing = covered()
    assert (nothing.sentences, nothing.exempt, nothing.covered, nothing.share) == (2, 2, 0, 0.0)
    assert nothing.gaps == (
        Gap(PASSAGE.id, FOUNDED, covered=False, missing=("Ada Pell", "1962")),
        Gap(PASSAGE.id, RED, covered=False, missing=()),
    )


def test_a_pair_covers_the_sentence_of_the_fact_that_it_asks_for() -> None:
    one = covered(pair("When was the Hollin Museum founded?", "In 1962.", "1962"))
    assert (one.covered, one.items) == (1, {"names": (1, 0), "numbers": (0, 0), "dates": (1, 1)})
    assert one.gaps[0] == Gap(PASSAGE.id, FOUNDED, covered=True, missing=("Ada Pell",))
    assert one.details() == {
        "sentences": 2,
        "sentences_covered": 1,
        "sentences_exempt": 2,
        "share": 0.5,
        "names": 1,
        "names_covered": 0,
        "numbers": 0,
        "numbers_covered": 0,
        "dates": 1,
        "dates_covered": 1,
    }


def test_a_span_covers_its_sentence_only_with_half_of_what_that_tells() -> None:
    start = RED.index("cheap")
    span = Fact(Kind.SPAN, "cheap", "cheap", f"{FOUNDED} {RED[:start]}", RED[start + 5 :])
    asked, whole = (
        Pair(Question(PASSAGE.id, question, "open", span), "It was cheap.", sampled=False)
        for question in ("What was the Hollin Museum like?", "What was the paint of the boats like?")
    )
    assert (covered(asked).covered, covered(whole).covered) == (0, 1)


def test_an_answer_that_tells_half_of_a_sentence_covers_it_whatever_was_asked() -> None:
    assert covered(pair("What colour have the boats?", "The boats are red; paint was cheap.")).covered == 1


def test_what_an_answer_only_repeats_or_says_of_something_else_covers_nothing() -> None:
    asked = "Did Ada Pell found the Hollin Museum in 1962?"
    assert covered(pair(asked, "Ada Pell founded the museum in 1962.")).covered == 0
    assert covered(pair("What is cheap at the Hollin Museum?", "Tickets are cheap.")).covered == 0
    assert covered(pair("Who built it?", "Ada.", "1962")).covered == 0, "the fact is not given"


def test_the_goal_holds_for_sentences_and_for_their_items() -> None:
    all_sentences = covered(
        pair("When was the Hollin Museum founded?", "In 1962.", "1962"), pair("Why are the boats red?", RED)
    )
    assert all_sentences.share == 1.0
    assert not all_sentences.reaches(0.95)
    assert all_sentences.reaches(0.5)
