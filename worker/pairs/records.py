"""The artefacts of read, ask and answer, as JSON lines: how passages, questions and pairs are written and read."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from worker.pairs.answering import Pair
from worker.pairs.facts import Fact, Kind
from worker.pairs.passages import Passage
from worker.pairs.writing import WITHOUT_MODEL, Question, sentence_of

QUESTION_CHECKS = ("whole", "self-contained", "gives no answer away", "no near-duplicate")
"""What a question that a model wrote has passed; see `filters.py`."""
ANSWER_CHECKS = ("finished", "no refusal", "gives its fact", "adds nothing", "teacher sure")
"""What an answer in the teacher's words has passed; see `answering.fault`."""


def write_lines(path: Path, records: Iterable[Mapping[str, Any]]) -> None:
    """Write one JSON object a line."""
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Read one JSON object a line."""
    with path.open(encoding="utf-8") as file:
        for line in file:
            if line.strip():
                yield json.loads(line)


def passages_from(path: Path) -> list[Passage]:
    """The passages that read left."""
    return [Passage(**record) for record in read_lines(path)]


def passage_records(passages: Iterable[Passage]) -> Iterator[dict[str, Any]]:
    """Passages as records."""
    return (asdict(passage) for passage in passages)


def question_records(questions: Iterable[Question]) -> Iterator[dict[str, Any]]:
    """Questions as records, numbered."""
    for number, question in enumerate(questions, 1):
        yield {
            "id": f"q{number:05d}",
            "passage_id": question.passage_id,
            "question": question.text,
            "kind": question.kind,
            "target": question.target,
            "fact": asdict(question.fact) if question.fact else None,
            "sentence": question.sentence,
        }


def questions_from(path: Path) -> list[Question]:
    """The questions that ask left."""
    return [
        Question(
            record["passage_id"],
            record["question"],
            record["kind"],
            Fact(**{**record["fact"], "kind": Kind(record["fact"]["kind"])}) if record["fact"] else None,
            record.get("sentence"),
        )
        for record in read_lines(path)
    ]


def pair_records(pairs: Iterable[Pair], passages: Mapping[str, Passage]) -> Iterator[dict[str, Any]]:
    """Pairs as records, numbered, each with where it comes from and what it was checked for."""
    for number, pair in enumerate(pairs, 1):
        question = pair.question
        by_rule = question.kind in WITHOUT_MODEL
        yield {
            "id": f"a{number:05d}",
            "passage_id": question.passage_id,
            "sentence": sentence_of(question, passages[question.passage_id]),
            "question": question.text,
            "answer": pair.answer,
            "kind": question.kind,
            "target": question.target,
            "accepted": list(question.fact.accepted) if question.fact else [],
            "writer": "rule" if by_rule else "model",
            "sampled": pair.sampled,
            "quoted": pair.quoted,
            "known": pair.known,
            "scores": {
                name: None if score is None else round(score, 4)
                for name, score in (("teacher", pair.teacher), ("closed_book", pair.closed_book))
            },
            "filters": [*(() if by_rule else QUESTION_CHECKS), *(() if pair.quoted else ANSWER_CHECKS)],
            "split": "held_out" if pair.held_out else "train",
        }
