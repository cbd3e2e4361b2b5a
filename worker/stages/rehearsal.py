"""What a child rehearses: the pairs of its parent, and those that the parent rehearsed itself, with their passages.

answer writes them beside the child's own pairs, so that all that an adapter learnt from lies in its own job: its
children need nothing of its forebears. What comes from a document that was replaced is left out. Identifiers get the
name of the adapter that they were first made for, `adp_…/a00001`, and so stay unique however long the line is.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from worker.pairs.answering import Pair
from worker.pairs.held_out import Asked, is_asked
from worker.pairs.passages import Passage
from worker.pairs.records import passages_from, read_lines, write_lines
from worker.stages import Parent, StageInputs

PAIRS: Final = "rehearsed.jsonl"
IN_OLD_EXAM: Final = "held out by the parent"
PASSAGES: Final = "rehearsed_passages.jsonl"


def record(inputs: StageInputs, out: Path, held_out: Collection[Pair] = ()) -> int:
    """Write the pairs to rehearse, held-out ones too, and their passages; returns how many pairs there are.

    Those to train on whose question is nearly one that the child holds out are left out.
    """
    if inputs.parent is None:
        return 0
    asked = [_asked(pair) for pair in held_out]
    passages = [each for each in _passages_of(inputs.parent) if each["document_id"] in inputs.parent.documents]
    kept = {passage["id"] for passage in passages}
    pairs = [
        pair
        for pair in _pairs_of(inputs.parent)
        if pair["passage_id"] in kept and (pair["split"] == "held_out" or not is_asked(_said(pair), asked))
    ]
    write_lines(out / PASSAGES, passages)
    write_lines(out / PAIRS, pairs)
    return len(pairs)


def without_old_exam(inputs: StageInputs, pairs: Sequence[Pair], dropped: Counter[str]) -> list[Pair]:
    """A child's own pairs without those whose question is nearly one that its report will ask of its old knowledge."""
    if inputs.parent is None:
        return list(pairs)
    parent = inputs.parent
    passages = {each["id"] for each in _passages_of(parent) if each["document_id"] in parent.documents}
    held_out = (pair for pair in _pairs_of(parent) if pair["split"] == "held_out")
    exam = [_said(pair) for pair in held_out if pair["passage_id"] in passages]
    first = {pair.question: pair for pair in reversed(pairs)}
    asked = {question: is_asked(_asked(pair), exam) for question, pair in first.items()}
    kept = [pair for pair in pairs if not asked[pair.question]]
    dropped[IN_OLD_EXAM] += len(pairs) - len(kept)
    return kept


def old_pairs(inputs: StageInputs) -> list[dict[str, Any]]:
    """The pairs that answer recorded for training."""
    file = inputs.artefacts / "answer" / PAIRS
    return [pair for pair in read_lines(file) if pair["split"] == "train"] if file.exists() else []


def all_passages(inputs: StageInputs) -> list[Passage]:
    """The passages of the child's own pairs and of those that it rehearses."""
    file = inputs.artefacts / "answer" / PASSAGES
    own = passages_from(inputs.artefacts / "read" / "passages.jsonl")
    return own + passages_from(file) if file.exists() else own


def _asked(pair: Pair) -> Asked:
    return Asked(pair.question.text, pair.answer, pair.question.target)


def _said(pair: Mapping[str, Any]) -> Asked:
    return Asked(pair["question"], pair["answer"], pair.get("target"))


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
