"""Which passages suit a question best: by their words (BM25), by their meaning (embeddings), or by both."""

import logging
from collections.abc import Sequence
from typing import Final, Literal

import bm25s
import numpy as np
import Stemmer
from numpy.typing import NDArray

from app.retrieval.embeddings import embed

logging.getLogger("bm25s").setLevel(logging.NOTSET)  # it sets itself to DEBUG: let the service's level hold for it

Method = Literal["bm25", "embeddings", "hybrid"]
Scores = NDArray[np.float32]

_WORD: Final = r"[\u0e00-\u0eff\u1000-\u109f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]|[^\W_]+"
"""A run of letters or digits; in scripts that are written without spaces, each character."""
_FUSION: Final = 60
"""k of reciprocal rank fusion (Cormack, Clarke and Büttcher, SIGIR 2009), as they set it."""
_FADING: Final = 0.5
"""What a turn of a conversation counts beside the turn after it."""


class Ranker:
    """Ranks the same passages for one question after the other. Threads may share it: nothing in it changes.

    - `bm25`: BM25 (Lucene's variant, k1 1.5, b 0.75) on stemmed English words without stop words; scores from 0.
    - `embeddings`: cosine of the passage's and the question's mean word vectors; scores from -1 to 1.
    - `hybrid`: reciprocal rank fusion of the two; scores up to 2/61.

    Args:
        passages: the texts. Put what a passage's own words leave out, such as its document's title, in front of them.
        method: how to rank.

    Raises:
        ConfigurationError: the method needs embeddings, and the extra that has them is not installed.
    """

    def __init__(self, passages: Sequence[str], method: Method = "bm25") -> None:
        self._method = method
        self._count = len(passages)
        self._words = _index(passages) if method != "embeddings" else None
        self._vectors = embed(passages) if method != "bm25" else np.zeros((len(passages), 0), dtype=np.float32)

    def best(self, question: str, many: int, before: Sequence[str] = ()) -> list[tuple[int, float]]:
        """Up to `many` passages, the best first, each as its place in `passages` and its score.

        Passages of the same score keep their order. One that shares nothing with the question comes last, but it comes.

        A question that follows others may leave out what it is about. Each turn before it adds to its scores, half as
        much as the turn after it did. First it is scaled down so that its best passage has no more than the best has
        of the latest turn that finds any: a long turn does not drown a short question.

        Args:
            question: to find passages for.
            many: passages at most.
            before: what the same person asked before, the latest first.
        """
        scores = self._in_conversation([question, *before])
        return [(int(index), float(scores[index])) for index in _order(scores)[: max(many, 0)]]

    def _in_conversation(self, turns: Sequence[str]) -> Scores:
        total = np.zeros(self._count, dtype=np.float32)
        ceiling = 0.0
        for number, turn in enumerate(turns):
            scores = self._scores(turn)
            highest = float(scores.max(initial=0))
            scale = ceiling / highest if 0 < ceiling < highest else 1.0
            total += _FADING**number * scale * scores
            ceiling = ceiling or highest
        return total

    def _scores(self, question: str) -> Scores:
        if self._method == "bm25":
            return self._by_words(question)
        if self._method == "embeddings":
            return self._by_meaning(question)
        by_words, by_meaning = self._by_words(question), self._by_meaning(question)
        sharing_words = _order(by_words)[: np.count_nonzero(by_words)]
        return _fusion(sharing_words, self._count) + _fusion(_order(by_meaning), self._count)

    def _by_words(self, question: str) -> Scores:
        known = [word for word in _words([question])[0] if self._words and word in self._words.vocab_dict]
        if self._words is None or not known:
            return np.zeros(self._count, dtype=np.float32)
        scores: Scores = self._words.get_scores(known)
        return scores

    def _by_meaning(self, question: str) -> Scores:
        scores: Scores = self._vectors @ embed([question])[0]
        return scores


def _index(passages: Sequence[str]) -> "bm25s.BM25 | None":
    """None where no passage has a word."""
    words = _words(passages)
    if not any(words):
        return None
    index = bm25s.BM25(method="lucene", k1=1.5, b=0.75)
    index.index(words, create_empty_token=False, show_progress=False)
    return index


def _words(texts: Sequence[str]) -> list[list[str]]:
    """The words of each text, as BM25 counts them."""
    stemmer = Stemmer.Stemmer("english")  # made anew: threads cannot share one, and it costs nothing
    found: list[list[str]] = bm25s.tokenize(
        list(texts), token_pattern=_WORD, stopwords="en", stemmer=stemmer, return_ids=False, show_progress=False
    )
    return found


def _order(scores: Scores) -> NDArray[np.int64]:
    return np.argsort(-scores, kind="stable")


def _fusion(ranking: NDArray[np.int64], count: int) -> Scores:
    """What a ranking gives each of `count` passages in reciprocal rank fusion; nothing to those that it lacks."""
    given = np.zeros(count, dtype=np.float32)
    given[ranking] = 1 / (_FUSION + np.arange(1, len(ranking) + 1, dtype=np.float32))
    return given
