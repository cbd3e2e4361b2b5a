"""read: the documents' text -> passages that suit the base model.

Writes `passages.jsonl`: id, document_id, title, heading, text (what the teacher reads), focus (what is asked about).
"""

from pathlib import Path
from typing import Any

from app.documents.text import first_words
from app.errors import StageError
from worker.pairs import passages as cutting
from worker.pairs.model_size import parameters_of
from worker.pairs.passages import Passage
from worker.pairs.records import passage_records, write_lines
from worker.pairs.subjects import opening_name
from worker.stages import DocumentText, Progress, StageInputs


def run(inputs: StageInputs, out: Path, progress: Progress) -> dict[str, Any]:
    """Cut every document into passages.

    Raises:
        StageError: documents have no text to learn from.
    """
    words = inputs.settings.passage_words or cutting.words_for(parameters_of(inputs.base_model))
    found: list[Passage] = []
    empty: list[str] = []
    for number, document in enumerate(inputs.documents, 1):
        title = _title_of(document)
        passages = cutting.split(document.id, title, document.text, words, first=len(found) + 1)
        if not passages:
            empty.append(f"{document.id} ({title})" if title else document.id)
        found += passages
        progress(number, len(inputs.documents))
    if empty:
        raise StageError(
            f"No text to learn from was found in {', '.join(empty)}: headings alone are not learnt. Post documents "
            "that have sentences in them, and leave out those that have none."
        )
    write_lines(out / "passages.jsonl", passage_records(found))
    return {"passages": len(found), "words": sum(len(passage.focus.split()) for passage in found)}


def _title_of(document: DocumentText) -> str:
    """What the document is called, or nothing: of its first words, which stand in for a title, the name they open with.

    All of them are no subject's name: "The Pellworth Wind Organ was built in 1974 …".
    """
    posted = document.title.strip()
    if posted and posted != first_words(document.text):
        return posted
    return cutting.read_title(document.text) or opening_name(posted)
