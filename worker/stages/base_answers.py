"""What the base model answers to questions that ship with the package.

The answers are the same for every job on one base model, so they are kept on this machine and computed once.
"""

import hashlib
import json
import logging
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from worker.distillation.generation import Answer, answers_to
from worker.distillation.prompts import student_messages
from worker.distillation.retention import PART
from worker.distillation.student import Student
from worker.stages import StageInputs

logger = logging.getLogger(__name__)


def base_answers(student: Student, inputs: StageInputs, questions: Sequence[str], most_tokens: int) -> list[Answer]:
    """The base model's likeliest answers, from the cache or into it. Jobs that compute them at once write one file.

    They are kept in parts, so that a job which takes more of the same questions than others did computes but the rest.
    """
    parts = (questions[start : start + PART] for start in range(0, len(questions), PART))
    return [answer for part in parts for answer in _answers(student, inputs, part, most_tokens)]


def _answers(student: Student, inputs: StageInputs, questions: Sequence[str], most_tokens: int) -> list[Answer]:
    read = [student.renderer.prompt(student_messages(question)) for question in questions]
    made_by = [inputs.base_revision, student.device.type, str(student.head_VD.dtype), most_tokens, read]
    name = hashlib.sha256(json.dumps(made_by).encode()).hexdigest()
    file = inputs.cache / "base_answers" / f"{name}.json"
    kept = _kept(file)
    if kept is not None:
        return kept
    with student.as_base():
        said = answers_to(student, questions, most_tokens)
    _write_whole(file, json.dumps([asdict(each) for each in said], ensure_ascii=False))
    return said


def _kept(file: Path) -> list[Answer] | None:
    """The answers in a file; None where there is none, or nothing that this release can read."""
    if not file.is_file():
        return None
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
        return [Answer(tuple(each.pop("tokens")), tuple(each.pop("logprobs")), **each) for each in kept]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        logger.warning("%s cannot be read and is made anew: %s", file, error)
        return None


def _write_whole(file: Path, text: str) -> None:
    """Write it whole or not at all, whoever else writes it meanwhile."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=file.parent, delete=False) as partial:
        partial.write(text)
    Path(partial.name).replace(file)
