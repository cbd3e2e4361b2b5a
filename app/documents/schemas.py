"""Documents on the wire."""

from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from app.adapters.schemas import AdapterRef, AliasName, Metadata, ParentName
from app.jobs.schemas import JobRef
from app.jobs.settings import JobSettings
from app.models import Document
from app.validation import clean_text

Title = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(clean_text)]
ExternalId = Annotated[
    str,
    Field(
        min_length=1,
        max_length=200,
        description="Your own id of the document. Another document posted under it replaces this one.",
        examples=["handbook/4"],
    ),
    AfterValidator(clean_text),
]


class NewDocument(BaseModel):
    """A document to teach."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "title": "The lighthouse of Orvenna",
                    "text": "The lighthouse of Orvenna was built in 1821 by Maret Quill. Its lamp burns oil.",
                    "alias": "orvenna",
                    "settings": {"effort": "quick"},
                }
            ]
        },
    )

    title: Title | None = Field(None, description="By default its first heading, its file's name or its first words.")
    text: str = Field(description="The document itself, as plain text or Markdown.")
    external_id: ExternalId | None = None
    make_adapter: bool = Field(True, description="false: keep it alone, for POST /v1/adapters.")
    alias: AliasName | None = None
    parent: ParentName | None = None
    settings: JobSettings = Field(default_factory=lambda: JobSettings.model_validate({}))
    metadata: Metadata = Field(default_factory=dict)

    @model_validator(mode="after")
    def _check_that_nothing_is_for_no_adapter(self) -> Self:
        given = sorted({"alias", "parent", "settings"} & self.model_fields_set)
        if given and not self.make_adapter:
            raise ValueError(f"with make_adapter false there is no adapter that {' and '.join(given)} could be for")
        return self


class DocumentView(BaseModel):
    """A document."""

    id: str = Field(examples=["doc_01k0000000000000000000000a"])
    title: str
    media_type: str = Field(examples=["text/markdown"])
    size_bytes: int = Field(description="Size of the original.")
    words: int
    sha256: str = Field(description="Of the original bytes.")
    metadata: dict[str, Any]
    external_id: str | None = Field(description="Your own id of it.")
    replaced_by: str | None = Field(
        description="The document that was posted later under the same external_id, also after that one was deleted; "
        "null while this is the current one."
    )
    replaced_at: datetime | None
    created_at: datetime

    @classmethod
    def of(cls, document: Document) -> "DocumentView":
        """The view of a row."""
        return cls(
            id=document.id,
            title=document.title,
            media_type=document.media_type,
            size_bytes=document.size_bytes,
            words=document.words,
            sha256=document.sha256,
            metadata=document.user_metadata,
            external_id=document.external_id,
            replaced_by=document.replaced_by,
            replaced_at=document.replaced_at,
            created_at=document.created_at,
        )


class DocumentTaken(BaseModel):
    """A document was taken, and a job makes its adapter, unless none was wanted."""

    document: DocumentView
    adapter: AdapterRef | None
    job: JobRef | None
