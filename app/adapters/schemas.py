"""Adapters and aliases on the wire."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from app.jobs.floors import FailedFloor
from app.jobs.schemas import JobRef
from app.jobs.settings import JobSettings, without_marks
from app.models import Adapter, AdapterStatus, Alias, JobStatus
from app.validation import clean_metadata

AliasName = Annotated[
    str,
    Field(
        max_length=64,
        json_schema_extra={"pattern": r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"},  # `check_alias` says it in words
        description="A name to chat by: letters, digits, '.', '_' and '-', at most 64.",
        examples=["handbook"],
    ),
]
Metadata = Annotated[
    dict[str, Any], AfterValidator(clean_metadata), Field(description="Anything of yours, up to 16 KiB of JSON.")
]


ParentName = Annotated[
    str,
    Field(
        min_length=1,
        max_length=64,
        description="An adapter to go on from, by its id or an alias: the new one learns the new documents while it "
        "rehearses the pairs of this one, save those from documents that were replaced.",
        examples=["adp_01k0000000000000000000000a"],
    ),
]


MOST_DOCUMENTS = 1000
"""Of one adapter."""


class NewAdapter(BaseModel):
    """An adapter to make from documents that are there already."""

    model_config = ConfigDict(extra="forbid")

    document_ids: list[str] = Field(
        min_length=1, max_length=MOST_DOCUMENTS, examples=[["doc_01k0000000000000000000000a"]]
    )
    alias: AliasName | None = None
    parent: ParentName | None = None
    settings: JobSettings = Field(default_factory=lambda: JobSettings.model_validate({}))
    metadata: Metadata = Field(default_factory=dict)


class DocumentRef(BaseModel):
    """Which document."""

    id: str
    title: str


class AdapterRef(BaseModel):
    """Which adapter, and whether it can answer."""

    id: str = Field(examples=["adp_01k0000000000000000000000a"])
    status: AdapterStatus


class AdapterView(BaseModel):
    """An adapter: what it was made from, how, and whether it can answer."""

    id: str = Field(examples=["adp_01k0000000000000000000000a"])
    status: AdapterStatus
    base_model: str
    base_revision: str | None = Field(
        description="Of the base model: a Hugging Face commit, or sha256:…; null until the adapter is ready."
    )
    parent: str | None = Field(description="The adapter that it went on from, also after that one was deleted.")
    documents: list[DocumentRef] = Field(description="All that it knows: the parent's and its own.")
    stale_documents: list[str] = Field(description="Those of its documents that were replaced since, by id.")
    is_stale: bool = Field(description="Whether there are any. A child that learns the new versions mends that.")
    job: JobRef
    settings: dict[str, Any] = Field(
        description="Every value that its job works with; null: by the base model, which the report's `training` tells."
    )
    alias: str | None = Field(description="The alias that points at it as soon as it is ready, unless it is degraded.")
    aliases: list[str] = Field(description="The aliases that point at it now.")
    degraded: bool = Field(description="Whether it is below a floor, and so gets its alias only if that was asked for.")
    failed_floors: list[FailedFloor] = Field(description="The floors that it is below.")
    sha256: str | None = Field(description="Of its weights; null until it is ready.")
    size_bytes: int | None
    metadata: dict[str, Any]
    created_at: datetime
    ready_at: datetime | None

    @classmethod
    def of(cls, adapter: Adapter, aliases: Sequence[str]) -> "AdapterView":
        """The view of a row, and the names that point at it."""
        stale = stale_documents(adapter)
        return cls(
            id=adapter.id,
            status=AdapterStatus(adapter.status),
            base_model=adapter.base_model,
            base_revision=adapter.base_revision,
            parent=adapter.parent_id,
            documents=[DocumentRef(id=document.id, title=document.title) for document in adapter.documents],
            stale_documents=stale,
            is_stale=bool(stale),
            job=JobRef(id=adapter.job.id, status=JobStatus(adapter.job.status)),
            settings=without_marks(adapter.settings),
            alias=adapter.alias,
            aliases=list(aliases),
            degraded=adapter.degraded,
            failed_floors=[FailedFloor.model_validate(failed) for failed in adapter.failed_floors or []],
            sha256=adapter.sha256,
            size_bytes=adapter.size_bytes,
            metadata=adapter.user_metadata,
            created_at=adapter.created_at,
            ready_at=adapter.ready_at,
        )


def stale_documents(adapter: Adapter) -> list[str]:
    """The ids of the adapter's documents that were replaced."""
    return [document.id for document in adapter.documents if document.replaced_by is not None]


class AdapterTaken(BaseModel):
    """An adapter is to be made, by this job."""

    adapter: AdapterRef
    job: JobRef


class PairView(BaseModel):
    """A question, the teacher's answer to it, and where both come from. What older adapters did not keep is null."""

    model_config = ConfigDict(extra="allow")

    id: str
    question: str
    answer: str
    kind: str | None = Field(None, description="Of question, or of the fact that it asks for.")
    split: str = Field(description="train, or held_out: asked in the exam only.")
    passage_id: str
    passage: str | None = Field(None, description="The passage's text.")
    document_id: str | None = None
    target: str | None = Field(
        None, description="The words of the document that a right answer holds; null where other words do as well."
    )
    accepted: list[str] | None = Field(
        None, description="What a right answer in the exam holds one of; empty where the whole answer is compared."
    )
    sampled: bool | None = Field(None, description="Whether the answer was sampled; else it is the likeliest one.")
    quoted: bool | None = Field(None, description="Whether the answer is a sentence of the document, word for word.")
    sentence: str | None = Field(None, description="The sentence of the passage that states what is asked for.")
    writer: str | None = Field(None, description="Who wrote the question: model or rule.")
    known: bool | None = Field(None, description="Whether the base model knew it without the passage.")
    scores: dict[str, float | None] | None = Field(
        None,
        description="Mean log-probabilities, in nats a token. `teacher`: of the answer, with the passage. "
        "`closed_book`: of what the base model said without it, right or wrong.",
    )
    filters: list[str] | None = Field(None, description="The checks that it passed.")
    stale: bool = Field(False, description="Whether its document was replaced: no child rehearses it.")
    rehearsed_from: str | None = Field(
        None, description="The adapter that it was made for, where this one rehearsed it; null for its own pairs."
    )


class AliasTarget(BaseModel):
    """What an alias is to point at."""

    model_config = ConfigDict(extra="forbid")

    adapter_id: str = Field(examples=["adp_01k0000000000000000000000a"])


class AliasView(BaseModel):
    """A name, and the adapter that it points at."""

    name: str
    adapter_id: str
    updated_at: datetime

    @classmethod
    def of(cls, alias: Alias) -> "AliasView":
        """The view of a row."""
        return cls(name=alias.name, adapter_id=alias.adapter_id, updated_at=alias.updated_at)
