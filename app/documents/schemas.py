"""Documents on the wire."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from app.adapters.schemas import AdapterRef, AliasName, Metadata
from app.jobs.schemas import JobRef
from app.jobs.settings import JobSettings
from app.models import Document
from app.validation import clean_text

Title = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(clean_text)]


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
    alias: AliasName | None = None
    settings: JobSettings = Field(default_factory=lambda: JobSettings.model_validate({}))
    metadata: Metadata = Field(default_factory=dict)


class DocumentView(BaseModel):
    """A document."""

    id: str = Field(examples=["doc_01k0000000000000000000000a"])
    title: str
    media_type: str = Field(examples=["text/markdown"])
    size_bytes: int = Field(description="Size of the original.")
    words: int
    sha256: str = Field(description="Of the original bytes.")
    metadata: dict[str, Any]
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
            created_at=document.created_at,
        )


class DocumentTaken(BaseModel):
    """A document was taken, and a job makes its adapter."""

    document: DocumentView
    adapter: AdapterRef
    job: JobRef
