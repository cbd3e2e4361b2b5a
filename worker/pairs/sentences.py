"""A passage's own sentences, and in which of them a fact stands."""

from collections.abc import Sequence
from dataclasses import replace

from worker.pairs.facts import Fact
from worker.pairs.passages import Passage, sentences_of


def own_sentences(passage: Passage) -> tuple[str, ...]:
    """The sentences of a passage's focus, each on one line."""
    return sentences_of(passage.focus)


def sentence_with(fact: Fact, sentences: Sequence[str]) -> str:
    """The one of a focus's sentences, in order and at least one, in which its fact begins."""
    start = len(" ".join(f"{fact.before}|".split())) - 1
    stop = 0
    for sentence in sentences:
        stop += len(sentence) + 1
        if start < stop:
            return sentence
    return sentences[-1]


def narrowed(passage: Passage, sentence: str) -> Passage:
    """The passage with one of its sentences as its focus, read up to there."""
    text = " ".join(passage.text.split())
    stop = text.rfind(sentence) + len(sentence)
    return replace(passage, text=text[:stop], focus=sentence) if stop >= len(sentence) else passage
