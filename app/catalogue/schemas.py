"""OpenAI's list of models."""

from typing import Literal

from pydantic import BaseModel, Field


class ModelView(BaseModel):
    """A model, in OpenAI's shape, with vLLM's `root` and `parent`."""

    id: str = Field(description="What a chat gives as its `model`.")
    object: Literal["model"] = "model"
    created: int = Field(description="Seconds since 1970.")
    owned_by: str = "ingrain"
    root: str = Field(description="The adapter that an alias points at; else the model itself.")
    parent: str | None = Field(description="The base model of an adapter; null for the base model.")


class ModelList(BaseModel):
    """All models, in OpenAI's shape."""

    object: Literal["list"] = "list"
    data: list[ModelView]
