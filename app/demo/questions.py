"""The demo's document and questions: those that come with the package, or a user's own."""

import json
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from app.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Question:
    """A question, and the keywords of which any one makes an answer right."""

    question: str
    accepted: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Exam:
    """A document, questions about it, and general questions that have nothing to do with it."""

    document: str
    questions: tuple[Question, ...]
    general: tuple[Question, ...]


def read_exam(document: Path | None, questions: Path | None) -> Exam:
    """The exam; what is not given is taken from the package.

    Raises:
        ConfigurationError: a file cannot be read, or the questions do not have the shape of questions.json.
    """
    bundled = files("app.demo")
    try:
        text = (document or bundled.joinpath("document.md")).read_text(encoding="utf-8")
        content = json.loads((questions or bundled.joinpath("questions.json")).read_text(encoding="utf-8"))
        return Exam(text, _questions(content["questions"]), _questions(content.get("general", [])))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"The demo's files cannot be read: {error}.") from None
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(
            f"{questions} does not hold questions ({type(error).__name__}: {error}). It must look like "
            '{"questions": [{"question": "…", "accepted": ["…"]}], "general": []}.'
        ) from None


def _questions(found: list[dict[str, object]]) -> tuple[Question, ...]:
    if not all(isinstance(item["accepted"], list) and item["accepted"] for item in found):
        raise ValueError("each question needs a list of accepted keywords")
    return tuple(Question(str(item["question"]), tuple(map(str, item["accepted"]))) for item in found)  # type: ignore[call-overload]
