"""The span of a passage that an answer gives, where the rules for facts find nothing in it.

"What does a flag at half-staff stand for?" "For respect or mourning." is neither a name nor a number, and yet what
people ask for: of a model's right answers to questions that people wrote, one in seven has no fact of the rules in it.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from worker.pairs.facts import Fact, Kind, covers
from worker.pairs.words import PASTS, content_words, is_empty, stems_of

OWN_WORDS: Final = 0.75
"""The share of an answer's new telling words that the span's sentence must have."""
_WORD: Final = re.compile(r"[\w']+")
_NEGATION: Final = re.compile(
    r"\b(?:not|no|never|nobody|none|nothing|nowhere|neither|nor|without|cannot|hardly|barely|few|fail\w*|refus\w*)\b|n't\b",
    re.IGNORECASE,
)
_SAYS_LITTLE: Final = re.compile(r"\w{2,}[^e]ed|first|second|third|last|next|\d+(?:st|nd|rd|th)", re.IGNORECASE)
"""One word that is no answer by itself: a past tense ("founded", but not "speed") or an ordinal."""


def span_of(answer: str, question: str, sentences: Sequence[str], leaked: Sequence[Fact]) -> Fact | None:
    """The run of words in one of a text's sentences that gives most of what an answer says and its question does not.

    None where the answer says nothing new, or mostly in words that no one sentence has; where it says what that
    sentence denies, or the other way round; and where one word says too little.

    Args:
        answer: to the question.
        question: with the words that are not new.
        sentences: of the text, in order.
        leaked: facts that stand in the question: the rest of one is no answer.
    """
    answer, question = _plain(answer), _plain(question)
    texts = [_plain(sentence) for sentence in sentences]
    new = stems_of(" ".join(content_words(answer))) - stems_of(question)
    denies = _NEGATION.search(answer) is not None
    runs = [
        (told, place, start, stop)
        for place, text in enumerate(texts)
        if len(new & stems_of(text)) >= OWN_WORDS * len(new) and (_NEGATION.search(text) is not None) is denies
        for told, start, stop in _runs(text, new)
    ]
    for told, place, start, stop in sorted(runs, key=lambda run: -run[0]):
        sentence = sentences[place]
        words = sentence[start:stop]
        before = " ".join([*sentences[:place], sentence[:start]])
        after = " ".join([sentence[stop:], *sentences[place + 1 :]])
        span = Fact(Kind.SPAN, words, words, before, after)
        says = told > 1 or not (_SAYS_LITTLE.fullmatch(words) or words.lower() in PASTS)
        is_rest = any(content_words(words) <= content_words(fact.target) for fact in leaked)
        if says and not is_rest and covers(answer, span):
            return span
    return None


def _plain(text: str) -> str:
    """A text with plain apostrophes, each letter where it was."""
    return text.replace("’", "'")


def _runs(text: str, new: frozenset[str]) -> Iterator[tuple[int, int, int]]:
    """The runs of words with new stems, words that tell nothing let in between: how many such, where from, where to."""
    told = start = stop = 0
    for word in _WORD.finditer(text):
        if stems_of(word.group()) & new:
            start = start if told else word.start()
            told, stop = told + 1, word.end()
        elif told and not is_empty(word.group().lower()):
            yield told, start, stop
            told = 0
    if told:
        yield told, start, stop
