from collections import Counter
from dataclasses import replace

import pytest

from worker.likeness import is_near_copy
from worker.pairs import filters
from worker.pairs.answering import Pair
from worker.pairs.copies import share_alike, without_copies
from worker.pairs.facts import Fact, Kind
from worker.pairs.kinds import MULTI_FACT
from worker.pairs.writing import OPEN, TURNED, Question

YEAR = Fact(Kind.YEAR, "1962", "1962", "The Hollin Ferry Museum was built in ", ".")
OTHER = Fact(Kind.YEAR, "1970", "1970", "The Hollin Ferry Museum was built anew in ", ".")


def pair(text: str, fact: Fact | None = YEAR, kind: str = OPEN, *, sampled: bool = False) -> Pair:
    return Pair(Question("p0001", text, kind, fact), "In 1962.", sampled)


def test_a_written_copy_goes_with_all_its_pairs_and_one_by_rule_stays() -> None:
    dropped: Counter[str] = Counter()
    kept = [
        pair("When did somebody build the Hollin Ferry Museum?"),
        pair("In which year was the Hollin Ferry Museum built?", kind=TURNED),
        pair("In which year was the Hollin Ferry Museum built?", OTHER),
        pair("In what year was the Hollin Ferry Museum built?", None),
    ]
    copied = "In what year was the Hollin Ferry Museum built?"
    copies = [pair(copied), pair(copied, sampled=True)]
    assert without_copies([*copies, *kept[:3]], dropped) == kept[:3]
    assert dropped == {filters.NEAR_DUPLICATE: 1}
    assert without_copies(kept, dropped) == kept


def test_questions_for_several_facts_are_copies_where_their_answers_say_the_same() -> None:
    def several(text: str, answer: str) -> Pair:
        return Pair(Question("p0001", text, MULTI_FACT, None), answer, sampled=False)

    dropped: Counter[str] = Counter()
    first = several("Who built the Hollin Ferry Museum, and in which year?", "Ada Pell built it in 1962.")
    copy = several("Who built the Hollin Ferry Museum, and in what year?", "Ada Pell built it in 1962.")
    other = several("Who built the Hollin Ferry Museum, and in what year?", "Tom Fox built it in 1970.")
    assert without_copies([first, copy], dropped) == [first]
    assert without_copies([first, other], dropped) == [first, other]
    assert dropped == {filters.NEAR_DUPLICATE: 1}


def test_a_question_with_the_words_of_another_one_is_a_copy_and_letters_tell_what_is_left() -> None:
    dropped: Counter[str] = Counter()
    first = pair("In which year was the Hollin Ferry Museum of boats built?")
    close = pair("In which year was the Hollin Ferry Museum of model boats built?")
    assert not is_near_copy(first.question.text, close.question.text)
    other = pair("In which year did they open the museum of Hollin?")
    assert without_copies([first, close, other], dropped) == [first, other]
    assert share_alike([first, close, other]) == pytest.approx(1 / 3)
    assert share_alike([first, close, close, replace(close, sampled=True), other]) == pytest.approx(1 / 3)
    assert share_alike([first, other, pair(close.question.text, OTHER)]) == 0.0
    assert share_alike([]) == 0.0
