"""The data: passages and the questions that people asked about them, as JSON lines."""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Asked:
    """A question that a person wrote, and the answers that count as right."""

    id: str
    question: str
    answers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Item:
    """A passage with its questions. `title` is empty where the data gives all passages the same one."""

    id: str
    title: str
    passage: str
    questions: tuple[Asked, ...]

    @property
    def shown(self) -> str:
        """The passage as a prompt has it that retrieval fills."""
        return f"{self.title}. {self.passage}" if self.title else self.passage


def read_items(file: Path, many: int | None) -> list[Item]:
    """The first `many` passages of a file (None: all of them).

    Each line is an object with `title`, `passage` and `questions`, a list of objects with `id`, `question` and
    `answers`. A title that all passages of the file share, as that of the Reddit comments, says nothing of them and is
    left out; underscores in one are blanks.

    Raises:
        ConfigurationError: the file is not there, or a line is something else.
    """
    try:
        lines = [line for line in file.read_text(encoding="utf-8").split("\n") if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file} cannot be read: {error}.") from error
    records = [_record(file, number, line) for number, line in enumerate(lines, 1)]
    if not records:
        raise ConfigurationError(f"{file} has no passage in it.")
    if many is not None and many > len(records):
        raise ConfigurationError(f"{file} has {len(records)} passages, fewer than the {many} asked for (--passages).")
    names = [str(asked["id"]) for record in records[:many] for asked in record["questions"]]
    if not names:
        raise ConfigurationError(f"{file} has no question in its passages. {_SHAPE}")
    twice = [name for name, many in Counter(names).items() if many > 1]
    if twice:
        raise ConfigurationError(f"{file} has several questions with the id {twice[0]!r}; each needs one of its own.")
    titles = {record["title"] for record in records}
    shared = len(titles) == 1 and len(records) > 1
    return [
        Item(
            id=f"passage-{number:04d}",
            title="" if shared else record["title"].replace("_", " ").strip(),
            passage=record["passage"],
            questions=tuple(
                Asked(str(asked["id"]), asked["question"].strip(), tuple(asked["answers"]))
                for asked in record["questions"]
            ),
        )
        for number, record in enumerate(records[:many], 1)
    ]


def _record(file: Path, number: int, line: str) -> dict[str, Any]:
    try:
        record: dict[str, Any] = json.loads(line)
        whole = isinstance(record["title"], str) and isinstance(record["passage"], str)
        whole = whole and bool(record["passage"].strip())
        for asked in record["questions"]:
            whole = whole and isinstance(asked["question"], str) and bool(asked["id"] and asked["answers"])
            whole = whole and all(isinstance(answer, str) for answer in asked["answers"])
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(f"{file}, line {number}: {type(error).__name__}: {error}. {_SHAPE}") from error
    if not whole:
        raise ConfigurationError(f"{file}, line {number} has an empty or wrong field. {_SHAPE}")
    return record


_SHAPE = (
    'A line is {"title": "…", "passage": "…", "questions": [{"id": "…", "question": "…", "answers": ["…", …]}, …]}.'
)
