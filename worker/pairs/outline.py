"""What is known of a whole document while one of its passages is asked about."""

from collections.abc import Sequence
from dataclasses import dataclass

from worker.pairs.facts import Kind, facts_of
from worker.pairs.passages import Passage
from worker.pairs.subjects import Subject, subject_of
from worker.pairs.words import stems_of


@dataclass(frozen=True, slots=True)
class Outline:
    """A document in brief.

    Attributes:
        subject: what it is about.
        names: what makes a question self-contained: the subject's name, and those that passages state; lower case.
        stems: of all its words, to notice a question that belongs to another passage.
    """

    subject: Subject
    names: frozenset[str]
    stems: frozenset[str]


def outline_of(passages: Sequence[Passage]) -> Outline:
    """The outline of one document from its passages, of which there is at least one."""
    subject = subject_of(passages[0].title, [passage.focus for passage in passages])
    names = {subject.bare.lower()}
    stems: set[str] = set()
    for passage in passages:
        stems |= stems_of(passage.focus)
        for fact in facts_of(passage.focus):
            if fact.kind in {Kind.PERSON, Kind.NAME} and len(fact.target) > 2:
                names.add(fact.target.lower())
    return Outline(subject, frozenset(name for name in names if name), frozenset(stems))


def by_document(passages: Sequence[Passage]) -> dict[str, list[Passage]]:
    """Passages by their document's id, in order."""
    documents: dict[str, list[Passage]] = {}
    for passage in passages:
        documents.setdefault(passage.document_id, []).append(passage)
    return documents
