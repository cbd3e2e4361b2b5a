"""The settings of a job: one dial, `effort`, from which every other value follows unless it is set by name."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field


class Effort(StrEnum):
    """How much time to spend: more pairs and more epochs, for more recall."""

    QUICK = "quick"
    STANDARD = "standard"
    THOROUGH = "thorough"


class JobSettings(BaseModel):
    """What a user may set. `None`: derived from `effort`, and some from the base model."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    effort: Effort = Field(Effort.STANDARD, description="quick, standard or thorough; derives all the rest.")
    seed: int = Field(0, ge=0, le=2**31 - 1, description="Seed of sampling and training.")
    passage_words: int | None = Field(None, ge=5, le=2000, description="Aimed-at words a passage; by the base model.")
    questions_per_fact: int | None = Field(None, ge=1, le=64, description="Questions to keep for each fact.")
    answers_per_question: int | None = Field(None, ge=1, le=16, description="Greedy first, then sampled answers.")
    sampling_temperature: float | None = Field(None, ge=0, le=2, description="Of questions and sampled answers.")
    rank: int | None = Field(None, ge=1, le=512, description="Rank of the adapter.")
    learning_rate: float | None = Field(None, gt=0, le=0.1, description="Peak learning rate; by the base model.")
    epochs: int | None = Field(None, ge=1, le=100, description="Passes over the pairs; by the base model.")
    batch_size: int | None = Field(None, ge=1, le=512, description="Sequences a step.")
    kl_temperature: float | None = Field(None, ge=0.1, le=10, description="Temperature of the divergence.")
    teacher_temperature: float | None = Field(
        None, ge=0.1, le=10, description="Of the teacher, as a share of kl_temperature; by the base model."
    )
    retention_weight: float | None = Field(None, ge=0, le=100, description="Weight of what must not be forgotten.")
    max_drift: float | None = Field(
        None,
        gt=0,
        le=100,
        description="Nats a token by which the adapter may drift on unrelated prompts; weakened to it. None: no limit.",
    )
    min_retention: float | None = Field(
        None, ge=0, le=1, description="Floor: general answers right, as a share of the base model's; by the service."
    )
    min_recall: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Floor: share of the held-out questions right, of a child new and old; by the service.",
    )
    alias_degraded: bool = Field(False, description="Put the adapter behind its alias even if it is below a floor.")
    rehearsal: float | None = Field(None, ge=0, le=1000, description="A parent's pairs an epoch, for each new pair.")


FLOORS: Final = ("min_retention", "min_recall")

DERIVED: Final[dict[Effort, dict[str, Any]]] = {
    Effort.QUICK: {
        "questions_per_fact": 3,
        "answers_per_question": 1,
        "sampling_temperature": 0.8,
        "rank": 32,
        "batch_size": 8,
        "kl_temperature": 1.0,
        "retention_weight": 1.0,
        "rehearsal": 1.0,
    },
    Effort.STANDARD: {
        "questions_per_fact": 6,
        "answers_per_question": 2,
        "sampling_temperature": 0.8,
        "rank": 32,
        "batch_size": 8,
        "kl_temperature": 1.0,
        "retention_weight": 1.0,
        "rehearsal": 2.0,
    },
    Effort.THOROUGH: {
        "questions_per_fact": 12,
        "answers_per_question": 4,
        "sampling_temperature": 0.8,
        "rank": 64,
        "batch_size": 8,
        "kl_temperature": 1.0,
        "retention_weight": 1.0,
        "rehearsal": 4.0,
    },
}


class ResolvedSettings(BaseModel):
    """A job's settings with every value filled in.

    `passage_words`, `learning_rate`, `epochs` and `teacher_temperature` stay None until the base model is known. The
    floors are the service's, which `app.jobs.service.resolve_settings` fills in; here they are 0, which every adapter
    reaches.
    """

    model_config = ConfigDict(frozen=True)

    effort: Effort
    seed: int
    passage_words: int | None
    questions_per_fact: int
    answers_per_question: int
    sampling_temperature: float
    rank: int
    learning_rate: float | None
    epochs: int | None
    batch_size: int
    kl_temperature: float
    teacher_temperature: float | None
    retention_weight: float
    max_drift: float | None
    min_retention: float
    min_recall: float
    alias_degraded: bool
    rehearsal: float
    named_floors: tuple[str, ...] = ()
    """Those that the request set itself: they fail where they cannot be measured."""


def resolve(settings: JobSettings) -> ResolvedSettings:
    """Fill in from the dial what the user did not set."""
    chosen = {name: value for name, value in settings.model_dump().items() if value is not None}
    undecided = {
        "passage_words": None,
        "learning_rate": None,
        "epochs": None,
        "teacher_temperature": None,
        "max_drift": None,
        "min_retention": 0.0,
        "min_recall": 0.0,
    }
    named = [floor for floor in FLOORS if floor in chosen]
    return ResolvedSettings.model_validate(
        {**undecided, **DERIVED[settings.effort], **chosen, "named_floors": named},
    )


def resolve_stored(stored: Mapping[str, Any]) -> ResolvedSettings:
    """A job's settings as the adapter's row has them. What it lacks, as it is older than a setting, is filled in."""
    resolved = resolve(JobSettings.model_validate(without_marks(stored)))
    return resolved.model_copy(update={"named_floors": tuple(stored.get("named_floors", ()))})


def without_marks(stored: Mapping[str, Any]) -> dict[str, Any]:
    """The settings alone, as a request may give them, of what the adapter's row has."""
    return {name: value for name, value in stored.items() if name != "named_floors"}
