"""What of each passage the pairs ask for: its sentences, and their names, numbers and dates.

A pair asks for what its answer gives and its question does not. The measure looks at the texts of questions and answers
and at patterns of its own (`items.py`), so that it finds what the rules that make pairs have missed.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from worker.pairs.answering import Pair
from worker.pairs.facts import Kind, covers
from worker.pairs.items import items_of, tells
from worker.pairs.passages import Passage
from worker.pairs.sentences import own_sentences
from worker.pairs.subjects import Subject
from worker.pairs.words import content_words, stems_of
from worker.pairs.writing import sentence_of

FEWEST_WORDS, FEWEST_TELLING = 4, 2
"""Of a sentence that can teach something; telling words without those of the document's subject."""
_GREETING = re.compile(r"(?:hello|hi|dear|welcome|thanks?|good (?:morning|afternoon|evening))\b", re.IGNORECASE)
KINDS = ("names", "numbers", "dates")


@dataclass(frozen=True, slots=True)
class Gap:
    """A sentence of which something is not asked for.

    Attributes:
        covered: whether some pair asks for something in it.
        missing: its names, numbers and dates that no pair asks for, in the sentence's words.
    """

    passage_id: str
    sentence: str
    covered: bool
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Coverage:
    """What pairs ask for of passages.

    Attributes:
        sentences: that can teach something; covered: how many of them are asked for.
        exempt: sentences that teach nothing: questions, greetings, fragments.
        items: for each of `KINDS`, how many stand in the sentences and how many are asked for.
        gaps: what is not asked for, in the passages' order.
    """

    sentences: int
    covered: int
    exempt: int
    items: Mapping[str, tuple[int, int]]
    gaps: tuple[Gap, ...]

    @property
    def share(self) -> float | None:
        """The share of the sentences that is asked for; None where there are none."""
        return self.covered / self.sentences if self.sentences else None

    def reaches(self, target: float) -> bool:
        """Whether the share of the sentences, and that of the names, numbers and dates together, is at least that."""
        many, told = (sum(counts) for counts in zip(*self.items.values(), strict=True))
        return self.covered >= target * self.sentences and told >= target * many

    def details(self) -> dict[str, Any]:
        """As a summary tells it."""
        counts = {"sentences": self.sentences, "sentences_covered": self.covered, "sentences_exempt": self.exempt}
        for kind, (many, told) in self.items.items():
            counts |= {kind: many, f"{kind}_covered": told}
        return {**counts, "share": None if self.share is None else round(self.share, 3)}


def measure(pairs: Iterable[Pair], passages: Mapping[str, Passage], subjects: Mapping[str, Subject]) -> Coverage:
    """What the pairs ask for. Of passages with the same text, what is asked about one is asked about all.

    Args:
        pairs: those that are trained on.
        passages: by id.
        subjects: by document id.
    """
    by_text: defaultdict[str, list[Pair]] = defaultdict(list)
    for pair in pairs:
        if pair.question.passage_id in passages:
            by_text[passages[pair.question.passage_id].focus].append(pair)
    sentences = covered = exempt = 0
    counts = {kind: [0, 0] for kind in KINDS}
    gaps: list[Gap] = []
    for passage in passages.values():
        subject = subjects[passage.document_id]
        for sentence in own_sentences(passage):
            telling = _telling(sentence, subject)
            if not telling:
                exempt += 1
                continue
            sentences += 1
            asked = [pair for pair in by_text[passage.focus] if _asks(pair, sentence, telling, passage)]
            covered += bool(asked)
            missing = list(_missing(sentence, subject, by_text[passage.focus], counts))
            if missing or not asked:
                gaps.append(Gap(passage.id, sentence, bool(asked), tuple(missing)))
    items = {kind: (many, told) for kind, (many, told) in counts.items()}
    return Coverage(sentences, covered, exempt, items, tuple(gaps))


def _telling(sentence: str, subject: Subject) -> frozenset[str]:
    """The stems of a sentence's telling words; none where the sentence teaches nothing."""
    if len(sentence.split()) < FEWEST_WORDS or sentence.endswith("?") or _GREETING.match(sentence):
        return frozenset()
    stems = stems_of(" ".join(content_words(sentence))) - stems_of(subject.bare)
    return stems if len(stems) >= FEWEST_TELLING else frozenset()


def _asks(pair: Pair, sentence: str, telling: frozenset[str], passage: Passage) -> bool:
    """Whether a pair asks for something in a sentence.

    Its answer gives telling words of it that its question does not; and the fact that it asks for, if the rules know
    it, stands there and is given, or question and answer together hold half of the sentence's telling words.
    """
    question, answer = stems_of(pair.question.text), stems_of(pair.answer)
    if not telling & answer - question:
        return False
    fact = pair.question.fact
    is_known = fact is not None and fact.kind is not Kind.SPAN and covers(pair.answer, fact)
    if is_known and sentence_of(pair.question, passage) == sentence:
        return True
    return 2 * len(telling & (question | answer)) >= len(telling)


def _missing(sentence: str, subject: Subject, pairs: Sequence[Pair], counts: Mapping[str, list[int]]) -> Iterator[str]:
    """Count a sentence's items, and give those that no pair asks for."""
    items = items_of(sentence, subject)
    for kind in KINDS:
        for item in sorted(getattr(items, kind), key=sentence.find):
            counts[kind][0] += 1
            if any(tells(pair.answer, item) and not tells(pair.question.text, item) for pair in pairs):
                counts[kind][1] += 1
            else:
                yield item
