"""Retrieval as examine compares it with the adapter: the base model with the passages that BM25 finds in its prompt."""

from collections.abc import Sequence
from typing import Any

from app.retrieval.ranking import Ranker
from worker.distillation.prompts import Message
from worker.stages.teaching import Teaching

PASSAGES = 3  # in a prompt; the right one is nearly always among them, and a small model still reads them all


class Retrieval:
    """Finds passages among those that the teacher taught from, as it read them, and asks as it was asked."""

    def __init__(self, teaching: Teaching) -> None:
        self._teaching = teaching
        self._ids = list(teaching.passages)
        self._ranker = Ranker([teaching.reading(passage_id) for passage_id in self._ids])

    def find(self, question: str) -> list[dict[str, Any]]:
        """The best passages, the best first: [{"passage_id", "score"}]."""
        best = self._ranker.best(question, PASSAGES)
        return [{"passage_id": self._ids[index], "score": round(score, 3)} for index, score in best]

    def messages(self, found: Sequence[dict[str, Any]], question: str) -> list[Message]:
        """What the base model is asked."""
        return self._teaching.retrieved([passage["passage_id"] for passage in found], question)
