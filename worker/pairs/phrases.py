"""What an answer gives of a passage in the passage's own words, where the rules for facts know none of them.

"What does a flag at half-staff stand for?" "A sign of respect." is neither a name nor a number. Of the questions that
people wrote about 150 encyclopaedia passages, a quarter has such an answer.
"""

import re
from collections.abc import Iterator, Sequence

from worker.pairs.facts import Fact, Kind
from worker.pairs.words import content_words, is_empty, stems_of

OWN_WORDS = 0.75
"""The share of an answer's new telling words that the passage must have."""
_WORD = re.compile(r"[\w']+")


def phrase_of(answer: str, question: str, sentences: Sequence[str]) -> Fact | None:
    """The longest run of words in one of a text's sentences that an answer gives and its question does not, as a fact.

    None where the answer says nothing new, or says it mostly in words that the text does not have.
    """
    new = stems_of(" ".join(content_words(answer))) - stems_of(question)
    if not new or len(new & stems_of(" ".join(sentences))) < OWN_WORDS * len(new):
        return None
    runs = ((*run, place) for place, sentence in enumerate(sentences) for run in _runs(sentence, new))
    told, start, stop, place = max(runs, key=lambda run: run[0], default=(0, 0, 0, 0))
    if not told:
        return None
    sentence = sentences[place]
    before = " ".join([*sentences[:place], sentence[:start]])
    after = " ".join([sentence[stop:], *sentences[place + 1 :]])
    return Fact(Kind.THING, sentence[start:stop], sentence[start:stop], before, after)


def _runs(sentence: str, new: frozenset[str]) -> Iterator[tuple[int, int, int]]:
    """How many of the new stems each run of them has, words that tell nothing let in between, and where it stands."""
    told = start = stop = 0
    for word in _WORD.finditer(sentence):
        if stems_of(word.group()) & new:
            start = start if told else word.start()
            told, stop = told + 1, word.end()
        elif told and not is_empty(word.group().lower()):
            yield told, start, stop
            told = 0
    if told:
        yield told, start, stop
