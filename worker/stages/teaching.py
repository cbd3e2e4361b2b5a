"""How the base model is put to each question as the teacher: the same in answer, distil and examine."""

from collections.abc import Sequence
from pathlib import Path

from worker.distillation.prompts import Message, teacher_messages
from worker.pairs.model_size import parameters_of
from worker.pairs.outline import by_document, outline_of
from worker.pairs.passages import Passage
from worker.pairs.subjects import Subject
from worker.pairs.writing import STRONG_MODEL


class Teaching:
    """The teacher's chats about the passages of a job.

    A weak base model is shown examples, and reads the passage with its subject named; a strong one reads it under its
    title and heading. `temperature` is its own in training, as a share of the divergence's.
    """

    def __init__(self, passages: Sequence[Passage], base_model: Path, temperature: float = 1.0) -> None:
        self.temperature = temperature
        self.is_strong = parameters_of(base_model) >= STRONG_MODEL
        self.passages = {passage.id: passage for passage in passages}
        self.outlines = {document: outline_of(those) for document, those in by_document(passages).items()}
        self.subjects: dict[str, Subject] = {document: outline.subject for document, outline in self.outlines.items()}

    def messages(self, passage_id: str, question: str) -> list[Message]:
        """What the teacher is asked."""
        place, text = self._read(passage_id)
        return teacher_messages(place, text, question, shown=not self.is_strong)

    def retrieved(self, passage_ids: Sequence[str], question: str) -> list[Message]:
        """What the teacher would be asked if it had to make do with these passages, the best first."""
        text = "\n\n".join(map(self.reading, passage_ids))
        return teacher_messages("", text, question, shown=not self.is_strong)

    def reading(self, passage_id: str) -> str:
        """A passage as the teacher reads it: where it stands, then its text."""
        place, text = self._read(passage_id)
        return f"{place}. {text}" if place else text

    def _read(self, passage_id: str) -> tuple[str, str]:
        passage = self.passages[passage_id]
        if not self.is_strong:
            subject = self.subjects[passage.document_id]
            text = subject.resolve(passage.text)
            return "" if subject.bare.lower() in text.lower() else subject.bare, text
        return passage.place, passage.text
