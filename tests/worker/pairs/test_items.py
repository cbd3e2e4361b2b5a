import pytest

from worker.pairs.items import items_of, tells
from worker.pairs.subjects import Subject

MUSEUM = Subject("the Hollin Museum", "Hollin Museum", "the museum")


@pytest.mark.parametrize(
    ("sentence", "names", "numbers", "dates"),
    [
        ("The Hollin Museum was founded by Ada Pell in 1962.", {"Ada Pell"}, set(), {"1962"}),
        ("On 3 May 1994 it bought the Blue Heron's bell.", {"Blue Heron"}, set(), {"3 May 1994"}),
        ("Visitors pay $1,200, or 12.5 crowns, on Sundays.", set(), {"1,200", "12.5"}, {"Sundays"}),
        ("It opens every Thursday for eleven hours.", set(), {"eleven"}, {"Thursday"}),
        ("Each Keeper weighs 900 grams.", {"Keeper"}, {"900"}, set()),
        ("The vLLM build has 135M weights.", set(), {"135M"}, set()),
        ("Łódź was visited by Żeromski in 1894.", {"Żeromski"}, set(), {"1894"}),
        ("It holds Лев Толстой of Ясная Поляна.", {"Лев Толстой of Ясная Поляна"}, set(), set()),
        ("Then I said that I'm late for Ada Pell.", {"Ada Pell"}, set(), set()),
        ("It is old and red.", set(), set(), set()),
    ],
)
def test_names_numbers_and_dates_of_a_sentence(
    sentence: str, names: set[str], numbers: set[str], dates: set[str]
) -> None:
    found = items_of(sentence, MUSEUM)
    assert (set(found.names), set(found.numbers), set(found.dates)) == (names, numbers, dates)


@pytest.mark.parametrize(
    ("text", "item", "told"),
    [
        ("Ada Pell's museum.", "Ada Pell", True),
        ("Ada founded it with Pell.", "Ada Pell", False),
        ("It cost 1,200 crowns.", "1,200", True),
        ("It cost 11,200 crowns.", "1,200", False),
        ("In 1962.", "1962", True),
        ("In 19625.", "1962", False),
    ],
)
def test_a_text_tells_an_item_when_it_holds_the_whole_of_it(text: str, item: str, told: bool) -> None:
    assert tells(text, item) is told
