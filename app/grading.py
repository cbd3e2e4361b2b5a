"""Whether an answer is right: does it hold one of the accepted keywords, as whole words?

Case, punctuation and how a number is written do not matter: "Eleven hours." holds "11 hours".
"""

import re
import unicodedata
from collections.abc import Iterable

_UNITS = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_NUMBERS = {word: value for value, word in enumerate(_UNITS)} | {word: 20 + 10 * n for n, word in enumerate(_TENS)}
_SCALES = {"hundred": 100, "thousand": 1000}


def is_right(answer: str, accepted: Iterable[str]) -> bool:
    """Whether the answer holds any of the accepted keywords."""
    words = f" {normalise(answer)} "
    return any(f" {normalise(keyword)} " in words for keyword in accepted)


def normalise(text: str) -> str:
    """Lower case, no accents or punctuation, and numbers in digits: "Thirty-two, H₂O!" becomes "32 h2o"."""
    plain = unicodedata.normalize("NFKD", text).casefold()
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
    plain = re.sub(r"(?<=\d),(?=\d{3}\b)", "", plain)  # 1,000
    plain = re.sub(r"['’]s\b", "", plain)  # Marta's
    return " ".join(_numbers_in_digits(re.findall(r"\w+", plain)))


def _numbers_in_digits(words: list[str]) -> Iterable[str]:
    position = 0
    while position < len(words):
        value, length = _read_number(words[position:])
        yield str(value) if length else words[position]
        position += length or 1


def _read_number(words: list[str]) -> tuple[int, int]:
    """The number in words at the beginning of `words`, and of how many words it is made; (0, 0) where there is none."""
    total = current = length = 0
    for position, word in enumerate(words):
        following = words[position + 1] if position + 1 < len(words) else ""
        if word in _SCALES and current:
            current *= _SCALES[word]
            if word == "thousand":
                total, current = total + current, 0
        elif word in _NUMBERS and _fits(current, _NUMBERS[word]):
            current += _NUMBERS[word]
        elif word in _NUMBERS and 10 <= current < 100 and _NUMBERS[word] >= 10 and not total:
            current = current * 100 + _NUMBERS[word]  # nineteen eighty-seven
        elif not (word == "and" and length and words[position - 1] in _SCALES and following in _NUMBERS):
            break
        length = position + 1
    return total + current, length


def _fits(current: int, value: int) -> bool:
    """Whether `value` can follow within one number: twenty then one, a hundred then twelve; not one then two."""
    return (
        current == 0
        or (current % 100 == 0 and value < 100)
        or (current % 10 == 0 and current % 100 >= 20 and 0 < value < 10)
    )
