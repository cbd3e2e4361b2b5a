"""The pairs that an adapter is trained on, made by the job's own stages; both ways of training get the same ones."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from worker.pairs.records import read_lines, write_lines
from worker.pairs.writing import BY_RULE

ANSWERED = Path("answer") / "pairs.jsonl"
"""Where the answer stage leaves its pairs, and distil looks for them."""


def thinned(pairs: Iterable[dict[str, Any]], documents: dict[str, str], most: int | None) -> list[dict[str, Any]]:
    """The training pairs, at most `most` of a document (None: all of them).

    First what the model wrote, spread over the facts, greedy answers before sampled ones; then what rules made, which
    the document's own sentences answer, spread over these.

    Args:
        pairs: as the answer stage wrote them.
        documents: the document's id by the passage's.
        most: how many to keep.
    """
    by_document: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for pair in pairs:
        if pair["split"] == "train":
            by_document[documents[pair["passage_id"]]].append(pair)
    return [pair for those in by_document.values() for pair in _spread(those)[:most]]


def _spread(pairs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Pairs in such an order that every beginning of it is spread over the document."""
    ruled = [pair for pair in pairs if pair["kind"] in BY_RULE]
    written = sorted((pair for pair in pairs if pair["kind"] not in BY_RULE), key=lambda pair: bool(pair["sampled"]))
    return [*_in_turns(written, "target"), *_in_turns(ruled, "answer")]


def _in_turns(pairs: Iterable[dict[str, Any]], key: str) -> Iterator[dict[str, Any]]:
    """One pair of each passage and `key`, or answer where that is None, then a second one, and so on."""
    groups: defaultdict[tuple[str, str | None], list[dict[str, Any]]] = defaultdict(list)
    for pair in pairs:
        groups[pair["passage_id"], pair[key] or pair["answer"]].append(pair)
    for place in range(max(map(len, groups.values()), default=0)):
        yield from (group[place] for group in groups.values() if place < len(group))


def with_greedy_answers(pairs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same questions, as many of them, each with the teacher's greedy answer: what fine-tuning learns best from."""
    greedy = {(pair["passage_id"], pair["question"]): pair["answer"] for pair in reversed(pairs) if not pair["sampled"]}
    return [{**pair, "answer": greedy.get((pair["passage_id"], pair["question"]), pair["answer"])} for pair in pairs]


def read_pairs(artefacts: Path) -> list[dict[str, Any]]:
    """The pairs in a folder of artefacts."""
    return list(read_lines(artefacts / ANSWERED))


def write_pairs(artefacts: Path, pairs: list[dict[str, Any]]) -> None:
    """Put pairs where the distil stage looks for them."""
    (artefacts / ANSWERED).parent.mkdir(parents=True, exist_ok=True)
    write_lines(artefacts / ANSWERED, pairs)


def summaries(artefacts: Path) -> dict[str, Any]:
    """What ask and answer said of their pairs."""
    return {
        stage: json.loads((artefacts / stage / "summary.json").read_text(encoding="utf-8"))
        for stage in ("ask", "answer")
    }
