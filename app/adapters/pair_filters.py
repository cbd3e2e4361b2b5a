"""Which of an adapter's pairs a client wants to see."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import Depends, Query
from pydantic import BaseModel, ConfigDict


class PairFilter(BaseModel):
    """What a pair has to be; None: anything. Where a pair does not know, it is not taken."""

    model_config = ConfigDict(frozen=True)

    split: str | None = None
    kind: str | None = None
    document_id: str | None = None
    passage_id: str | None = None
    writer: str | None = None
    known: bool | None = None
    sampled: bool | None = None
    stale: bool | None = None
    rehearsed: bool | None = None
    text: str | None = None

    @property
    def is_set(self) -> bool:
        """Whether anything is filtered at all."""
        return bool(self.model_dump(exclude_none=True))

    def takes(self, pair: Mapping[str, Any]) -> bool:
        """Whether the pair, with its document, is one of those."""
        wanted = self.model_dump(exclude_none=True, exclude={"text", "rehearsed"})
        if any(pair.get(name) != value for name, value in wanted.items()):
            return False
        if self.rehearsed is not None and self.rehearsed is not (pair.get("rehearsed_from") is not None):
            return False
        texts = (pair["question"], pair["answer"])
        return self.text is None or any(self.text.casefold() in text.casefold() for text in texts)


def pair_filters(
    split: Annotated[Literal["train", "held_out"] | None, Query(description="Only pairs of this split.")] = None,
    kind: Annotated[str | None, Query(max_length=64, description="Only pairs of this kind.")] = None,
    document_id: Annotated[str | None, Query(max_length=64, description="Only pairs about this document.")] = None,
    passage_id: Annotated[str | None, Query(max_length=64, description="Only pairs about this passage.")] = None,
    writer: Annotated[Literal["model", "rule"] | None, Query(description="Only questions of this writer.")] = None,
    known: Annotated[bool | None, Query(description="Only what the base model knew already, or did not.")] = None,
    sampled: Annotated[bool | None, Query(description="Only sampled answers, or only the likeliest.")] = None,
    stale: Annotated[bool | None, Query(description="Only of documents that were replaced, or of others.")] = None,
    rehearsed: Annotated[bool | None, Query(description="Only a parent's pairs, or only the adapter's own.")] = None,
    q: Annotated[
        str | None, Query(max_length=200, description="Only pairs whose question or answer has this text in it.")
    ] = None,
) -> PairFilter:
    """The filters of a request."""
    return PairFilter(
        split=split,
        kind=kind,
        document_id=document_id,
        passage_id=passage_id,
        writer=writer,
        known=known,
        sampled=sampled,
        stale=stale,
        rehearsed=rehearsed,
        text=q,
    )


PairFilters = Annotated[PairFilter, Depends(pair_filters)]
