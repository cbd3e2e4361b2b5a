"""What a child rehearses: the pairs of its parent, and those that the parent rehearsed itself, with their passages.

answer writes them beside the child's own pairs, so that all that an adapter learnt from lies in its own job: its
children need nothing of its forebears. What comes from a document that was replaced is left out. Identifiers get the
name of the adapter that they were first made for, `adp_…/a00001`, and so stay unique however long the line is.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from worker.pairs.passages import Passage
from worker.pairs.records import passages_from, read_lines, write_lines
from worker.stages import Parent, StageInputs

PAIRS: Final = "rehearsed.jsonl"
PASSAGES: Final = "rehearsed_passages.jsonl"


def record(inputs: StageInputs, out: Path) -> int:
    """Write the pairs to rehearse, held-out ones too, and their passages; returns how many pairs there are."""
    if inputs.parent is None:
        return 0
    passages = [each for each in _passages_of(inputs.parent) if each["document_id"] in inputs.parent.documents]
    kept = {passage["id"] for passage in passages}
    pairs = [pair for pair in _pairs_of(inputs.parent) if pair["passage_id"] in kept]
    write_lines(out / PASSAGES, passages)
    write_lines(out / PAIRS, pairs)
    return len(pairs)


def old_pairs(inputs: StageInputs) -> list[dict[str, Any]]:
    """The pairs that answer recorded for training."""
    file = inputs.artefacts / "answer" / PAIRS
    return [pair for pair in read_lines(file) if pair["split"] == "train"] if file.exists() else []


def all_passages(inputs: StageInputs) -> list[Passage]:
    """The passages of the child's own pairs and of those that it rehearses."""
    file = inputs.artefacts / "answer" / PASSAGES
    own = passages_from(inputs.artefacts / "read" / "passages.jsonl")
    return own + passages_from(file) if file.exists() else own


def _passages_of(parent: Parent) -> Iterator[dict[str, Any]]:
    for passage in read_lines(parent.artefacts / "read" / "passages.jsonl"):
        yield {**passage, "id": f"{parent.adapter_id}/{passage['id']}"}
    yield from _rehearsed(parent, PASSAGES)


def _pairs_of(parent: Parent) -> Iterator[dict[str, Any]]:
    for pair in read_lines(parent.artefacts / "answer" / "pairs.jsonl"):
        named = {name: f"{parent.adapter_id}/{pair[name]}" for name in ("id", "passage_id")}
        yield {**pair, **named, "rehearsed_from": parent.adapter_id}
    yield from _rehearsed(parent, PAIRS)


def _rehearsed(parent: Parent, name: str) -> Iterator[dict[str, Any]]:
    file = parent.artefacts / "answer" / name
    if file.exists():
        yield from read_lines(file)
