from collections import Counter

from worker.pairs import filters
from worker.pairs.answering import Pair
from worker.pairs.copies import without_copies
from worker.pairs.facts import Fact, Kind
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
