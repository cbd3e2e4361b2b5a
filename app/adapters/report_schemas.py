"""An adapter's report on the wire.

Adapters that were made before a part of it was measured lack that part: it is null, or empty.
"""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.adapters.schemas import DocumentRef
from app.jobs.floors import FailedFloor


class Score(BaseModel):
    """How many held-out questions someone answered right."""

    right: int
    of: int
    accuracy: float | None = Field(description="right / of; null where nothing was asked.")
    low: float | None = Field(description="Lower end of the accuracy's 95 % interval (Wilson).")
    high: float | None = Field(description="Upper end of it.")


class Recall(BaseModel):
    """Right answers to held-out questions, by who answered."""

    base: Score | None = Field(None, description="The base model, closed-book.")
    retrieval: Score | None = Field(
        None,
        description="The base model with the passages in its prompt that BM25 finds best for the question: of those "
        "that the teacher taught from, asked as the teacher is. A chat with `retrieval` finds longer passages, by the "
        "installation's ranking, and asks the plain question.",
    )
    teacher: Score | None = Field(None, description="The base model with the question's own passage in its prompt.")
    adapter: Score | None = Field(None, description="The adapter, closed-book.")


class GivenAnswer(BaseModel):
    """What someone answered."""

    answer: str
    right: bool


class FoundPassage(BaseModel):
    """A passage that retrieval put into the prompt."""

    passage_id: str
    score: float = Field(description="BM25's.")


class RetrievalAnswer(GivenAnswer):
    """What the base model answered to the question with the passages that were found for it."""

    found: bool = Field(description="Whether the question's own passage was among them.")
    passages: list[FoundPassage] = Field(description="Those in its prompt, best first.")


class ReportItem(BaseModel):
    """A held-out question, and what everyone answered to it."""

    model_config = ConfigDict(extra="allow")

    question: str
    expected: str = Field(description="The teacher's answer, which was checked.")
    passage_id: str | None = None
    document_id: str | None = None
    document: str | None = Field(None, description="The document's title.")
    base: GivenAnswer | None = None
    retrieval: RetrievalAnswer | None = None
    teacher: GivenAnswer | None = None
    adapter: GivenAnswer | None = None


class OldRecall(Recall):
    """The same of the parent's held-out questions, with what the parent answered itself when it was examined."""

    parent: Score | None = Field(None, description="The parent, closed-book, where it was asked the question.")


class OldItem(ReportItem):
    """A held-out question of the parent's."""

    parent: GivenAnswer | None = None


class OldKnowledge(BaseModel):
    """What a child still knows of what its parent knew."""

    adapter_id: str = Field(description="The parent.")
    recall: OldRecall
    items: list[OldItem]


class Drift(BaseModel):
    """How far the adapter moved the model on unrelated prompts, over the tokens of the base model's own answers."""

    model_config = ConfigDict(extra="allow")

    nats: float = Field(description="Mean KL divergence of a token from the base model, in nats.")
    same_first_choice: float | None = Field(None, description="Share of tokens that both think likeliest.")
    tokens: int | None = None
    prompts: int | None = None


class LostPrompt(BaseModel):
    """A general prompt that the base model has right and the adapter wrong, with both answers."""

    question: str
    base: str
    adapter: str


class Retention(BaseModel):
    """What became of what the base model knew before: general prompts, which no training sees."""

    model_config = ConfigDict(extra="allow")

    prompts: int | None = Field(None, description="How many general prompts were asked.")
    base_right: int | None = None
    adapter_right: int | None = None
    base_accuracy: float | None = None
    adapter_accuracy: float | None = None
    lost_points: float | None = Field(None, description="Percentage points; more than 0 is worse than before.")
    lost_points_low: float | None = Field(None, description="Where its 95 % interval begins: the prompts are a sample.")
    lost_points_high: float | None = Field(None, description="Where it ends.")
    won: int | None = Field(None, description="Prompts that the adapter has right and the base model wrong.")
    drift: Drift | None = None
    lost: list[LostPrompt] = Field(default_factory=list)


class CoverageGap(BaseModel):
    """A sentence of which something is not asked for."""

    passage_id: str
    sentence: str
    covered: bool = Field(description="Whether some pair asks for something in it.")
    missing: list[str] = Field(description="Its names, numbers and dates that no pair asks for.")


class Coverage(BaseModel):
    """How much of the documents the training pairs ask for. Further fields count it by kind."""

    model_config = ConfigDict(extra="allow")

    share: float | None = Field(description="From 0 to 1; null where nothing was there to be counted.")
    gaps: list[CoverageGap] = Field(
        default_factory=list, description="The first 100 sentences of which something is not asked for."
    )


class Pairs(BaseModel):
    """How many pairs there are, and what was left out on the way to them."""

    trained: int | None = Field(None, description="Pairs that the adapter learnt from.")
    held_out: int | None = Field(None, description="Pairs of questions that no training saw.")
    near_duplicates: float | None = Field(
        None, description="Share of the questions that nearly have the letters of another one for the same fact."
    )
    dropped_questions: dict[str, int] = Field(
        default_factory=dict, description="Questions that were not kept, by reason."
    )
    dropped_answers: dict[str, int] = Field(
        default_factory=dict, description="Answers that did not pass the checks, by reason."
    )


class LossPoint(BaseModel):
    """The mean losses of a run of steps, in nats a token."""

    step: int = Field(description="The last of them, counted from 1.")
    distil: float = Field(description="Divergence from the teacher on the pairs' answers.")
    retention: float = Field(description="Divergence from the base model on what must be kept.")


class StageCost(BaseModel):
    """What a stage took. Requests and tokens are null where it asked nothing of the engine.

    Of a stage that was stopped and went on these are the last process's, which asks no question twice.
    """

    stage: str
    seconds: float
    requests: int | None = None
    from_journal: int | None = Field(
        None, description="Requests that it did not make, as a process before it had the answers already."
    )
    prompt_tokens: int | None = None
    cached_tokens: int | None = Field(None, description="Of the prompt tokens, those found in the prefix cache.")
    completion_tokens: int | None = None


class Report(BaseModel):
    """What an adapter knows, what it forgot, how it was made and what that cost."""

    model_config = ConfigDict(extra="allow")

    version: Literal[1] = Field(1, description="Of this shape. It grows when a field changes its meaning or goes.")
    adapter_id: str
    base_model: str
    base_revision: str | None
    documents: list[DocumentRef]
    stale_documents: list[str] = Field(description="Those of its documents that were replaced since, by id.")
    ready_at: datetime | None
    degraded: bool = Field(description="Whether it is below a floor.")
    failed_floors: list[FailedFloor] = Field(description="The floors that it is below.")
    recall: Recall
    recovered: float | None = Field(
        description="The adapter's gain over the base model as a share of the teacher's: (adapter - base) / (teacher - "
        "base) of the accuracies. Above 1 where the adapter has more right than the teacher, below 0 where it has "
        "fewer than the base model. Null where the teacher knows no more than the base model."
    )
    retention: Retention | None = None
    coverage: Coverage | None = None
    items: list[ReportItem] = Field(description="Held-out questions one by one; of many, a sample over all documents.")
    old: OldKnowledge | None = Field(None, description="Of an adapter that went on from another one.")
    pairs: Pairs
    loss: list[LossPoint] = Field(description="The training, in at most 200 points.")
    stages: list[StageCost] = Field(description="Time and tokens by stage.")
    training: dict[str, Any] = Field(
        description="What the training tells of itself: steps, learning rate, device and the like."
    )
    settings: dict[str, Any] = Field(
        description="Every value that the job worked with; null: by the base model, as `training` tells."
    )
    seed: int | None = Field(description="Of sampling and training.")
    versions: dict[str, str] = Field(description="Of what made it: ingrain, torch, transformers, peft and the engine.")
