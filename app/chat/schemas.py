"""OpenAI's chat request. A field that would change the answer is passed on or refused, never ignored."""

import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import to_jsonable_python

from app.retrieval.ranking import Method
from app.validation import whole_text

# Fields that are not done, each with the values that ask for nothing.
_NEUTRAL: Final[dict[str, tuple[Any, ...]]] = {
    "audio": (),
    "function_call": ("none", "auto"),
    "functions": ([],),
    "modalities": (["text"],),
    "parallel_tool_calls": (True, False),
    "prediction": (),
    "reasoning_effort": ("none",),
    "service_tier": ("auto", "default"),
    "store": (False,),
    "tool_choice": ("none", "auto"),
    "tools": ([],),
    "verbosity": ("medium",),
    "web_search_options": (),
}
# Fields that change no answer.
_HARMLESS: Final = ("metadata", "prompt_cache_key", "prompt_cache_retention", "safety_identifier", "user")

PASSAGES: Final = 3
"""What `retrieval: true` means."""
_MOST_PASSAGES: Final = 20
_MOST_DOCUMENTS: Final = 100

Text = Annotated[str, AfterValidator(whole_text)]


def _sendable(value: dict[str, Any]) -> dict[str, Any]:
    """An object of the client's own shape that can be sent on as JSON."""
    try:
        json.dumps(to_jsonable_python(value), allow_nan=False, ensure_ascii=False).encode()
    except ValueError:
        raise ValueError(
            "it must not hold NaN, infinities or half surrogate pairs, nor be nested hundreds deep"
        ) from None
    return value


def _by_token_ids(bias: object) -> object:
    if isinstance(bias, Mapping) and not all(re.fullmatch(r"[0-9]{1,10}", str(token)) for token in bias):
        raise ValueError('its keys must be token ids, such as "318"')
    return bias


AnyObject = Annotated[dict[str, Any], AfterValidator(_sendable)]


class TextPart(BaseModel):
    """A piece of a message."""

    type: Literal["text"]
    text: str


def _joined(content: object) -> object:
    """The parts of a message as one text, joined as vLLM joins them."""
    if not isinstance(content, list):
        return content
    texts = []
    for number, part in enumerate(content):
        kind = part.get("type") if isinstance(part, Mapping) else None
        text = part.get("text") if isinstance(part, Mapping) else None
        if kind != "text" or not isinstance(text, str):
            raise ValueError(f"part {number} is of the type {kind!r}; only text parts with a 'text' are possible")
        texts.append(text)
    return "\n".join(texts)


def _without_template(variables: dict[str, Any]) -> dict[str, Any]:
    if "chat_template" in variables:
        raise ValueError("the chat template is the model's own; only its variables can be set")
    return variables


def _false_if_null(stream: object) -> object:
    return False if stream is None else stream


def _as_list(stop: object) -> object:
    return [stop] if isinstance(stop, str) else stop


class PlainFormat(BaseModel):
    """An answer in words, or as any JSON object."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["text", "json_object"]


class NamedSchema(BaseModel):
    """A JSON schema, in OpenAI's wrapping."""

    model_config = ConfigDict(extra="forbid")

    name: Text = Field(min_length=1)
    description: Text | None = None
    schema_: AnyObject = Field(alias="schema")
    strict: bool | None = None


class SchemaFormat(BaseModel):
    """An answer that a JSON schema describes."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["json_schema"]
    json_schema: NamedSchema


class ChatMessage(BaseModel):
    """One turn of the conversation."""

    model_config = ConfigDict(extra="forbid")

    role: Literal["system", "developer", "user", "assistant"]
    content: Annotated[Text, BeforeValidator(_joined, json_schema_input_type=str | list[TextPart])]
    name: str | None = Field(None, description="Accepted, and not shown to the model.")

    @model_validator(mode="before")
    @classmethod
    def _without_empty_members(cls, data: object) -> object:
        """Messages that a client got from us come back with `tool_calls: null` and the like."""
        if isinstance(data, Mapping):
            return {key: value for key, value in data.items() if key == "content" or value not in (None, [])}
        return data


class StreamOptions(BaseModel):
    """What a stream holds besides the text."""

    model_config = ConfigDict(extra="forbid")

    include_usage: bool = False
    include_obfuscation: Literal[False] = False


class ChatRequest(BaseModel):
    """A question for an adapter, an alias or the base model, in OpenAI's shape."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"model": "orvenna", "messages": [{"role": "user", "content": "Who built the lighthouse of Orvenna?"}]}
            ]
        },
    )

    model: str = Field(min_length=1, description="An adapter's id, an alias, or the base model's name.")
    messages: list[ChatMessage] = Field(min_length=1)
    stream: Annotated[bool, BeforeValidator(_false_if_null)] = False
    stream_options: StreamOptions | None = None
    max_tokens: int | None = Field(
        None,
        ge=1,
        le=2**31 - 1,
        description="The longest answer; with retrieval the room that the passages leave, if that is less.",
    )
    max_completion_tokens: int | None = Field(None, ge=1, le=2**31 - 1, description="The newer name of max_tokens.")
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)
    n: int | None = Field(None, ge=1, le=64)
    stop: Annotated[
        list[Annotated[Text, Field(min_length=1)]] | None,
        BeforeValidator(_as_list, json_schema_input_type=str | list[str]),
    ] = None
    seed: int | None = Field(None, ge=-(2**63), lt=2**63)
    logprobs: bool | None = None
    top_logprobs: int | None = Field(None, ge=0, le=20)
    presence_penalty: float | None = Field(None, ge=-2, le=2)
    frequency_penalty: float | None = Field(None, ge=-2, le=2)
    logit_bias: Annotated[
        dict[str, Annotated[float, Field(allow_inf_nan=False)]] | None, BeforeValidator(_by_token_ids)
    ] = None
    response_format: Annotated[PlainFormat | SchemaFormat, Field(discriminator="type")] | None = None
    # vLLM's own
    top_k: int | None = Field(None, ge=-1, le=2**31 - 1)
    min_p: float | None = Field(None, ge=0, le=1)
    repetition_penalty: float | None = Field(None, gt=0, le=2)
    chat_template_kwargs: Annotated[AnyObject, AfterValidator(_without_template)] | None = Field(
        None,
        examples=[{"enable_thinking": True}],
        description="For the model's chat template. A model that thinks is told not to (`enable_thinking` false), as "
        "in training, unless this says otherwise.",
    )
    # Ingrain's own
    retrieval: StrictBool | Annotated[int, Field(ge=1, le=_MOST_PASSAGES)] | None = Field(
        None,
        description="Put the passages that suit the last question best into the prompt: so many, or "
        f"{PASSAGES} for true. What the user asked in the two turns before counts too, but less. Fewer, where passages "
        "are ranked by words and no more share one with what was asked, or where the context has no room for more "
        "beside the answer: beside max_tokens, or half of the context if that is less; without it beside 256, or a "
        "quarter.",
    )
    documents: list[str] | None = Field(
        None,
        min_length=1,
        max_length=_MOST_DOCUMENTS,
        examples=[["doc_01k0000000000000000000000a"]],
        description="Where to look: the base model needs it, and an adapter otherwise takes all of its own documents. "
        "Without `retrieval` it means `retrieval: true`.",
    )
    # accepted, and changing nothing
    metadata: Any = None
    prompt_cache_key: Any = None
    prompt_cache_retention: Any = None
    safety_identifier: Any = None
    user: Any = None
    # refused, unless they ask for nothing
    audio: Any = None
    function_call: Any = None
    functions: Any = None
    modalities: Any = None
    parallel_tool_calls: Any = None
    prediction: Any = None
    reasoning_effort: Any = None
    service_tier: Any = None
    store: Any = None
    tool_choice: Any = None
    tools: Any = None
    verbosity: Any = None
    web_search_options: Any = None

    @field_validator(*_NEUTRAL)
    @classmethod
    def _refuse(cls, value: Any, info: ValidationInfo) -> None:
        neutral = _NEUTRAL[str(info.field_name)]
        if value is not None and not any(value == allowed and type(value) is type(allowed) for allowed in neutral):
            raise ValueError("it is not supported; leave it out")

    @field_validator("retrieval", mode="before")
    @classmethod
    def _how_many(cls, value: object) -> object:
        is_count = isinstance(value, int) and 1 <= value <= _MOST_PASSAGES
        if not (value is None or isinstance(value, bool) or is_count):
            raise ValueError(f"it must be true, false, or a number of passages from 1 to {_MOST_PASSAGES}")
        return value

    @model_validator(mode="after")
    def _fields_that_go_together(self) -> "ChatRequest":
        both = (self.max_tokens, self.max_completion_tokens)
        if None not in both and both[0] != both[1]:
            raise ValueError("max_tokens and max_completion_tokens differ; give one of them")
        if self.stream_options and not self.stream:
            raise ValueError("stream_options needs stream to be true")
        if self.documents and self.retrieval is False:
            raise ValueError("retrieval is false, and documents needs it; leave one of them out")
        if self.top_logprobs and not self.logprobs:
            raise ValueError("top_logprobs needs logprobs to be true")
        return self

    @property
    def passages_wanted(self) -> int:
        """How many passages to find; 0: the chat is closed-book."""
        if self.retrieval is None or isinstance(self.retrieval, bool):
            return PASSAGES if self.retrieval or self.documents else 0
        return self.retrieval

    @property
    def answer_limit(self) -> int | None:
        """The longest answer, in tokens."""
        return self.max_completion_tokens or self.max_tokens

    def for_engine(self, model: str) -> dict[str, Any]:
        """The request as the engine gets it, for the model by the engine's own name."""
        ours = {"retrieval", "documents"}
        left_out = {"model", "messages", "max_completion_tokens", "stream_options", *ours, *_HARMLESS, *_NEUTRAL}
        payload = self.model_dump(exclude=left_out, exclude_none=True, by_alias=True)
        if self.answer_limit:
            payload["max_tokens"] = self.answer_limit
        if self.stream_options:
            payload["stream_options"] = {"include_usage": self.stream_options.include_usage}
        payload["messages"] = [
            {"role": "system" if message.role == "developer" else message.role, "content": message.content}
            for message in self.messages
        ]
        return {"model": model, **payload}


class ChoiceMessage(BaseModel):
    """What the model said."""

    model_config = ConfigDict(extra="allow")

    role: Literal["assistant"]
    content: str | None


class Choice(BaseModel):
    """One answer."""

    model_config = ConfigDict(extra="allow")

    index: int
    message: ChoiceMessage
    finish_reason: str | None = Field(description="stop, or length: the answer was cut off at its limit.")


class Usage(BaseModel):
    """Tokens read and written."""

    model_config = ConfigDict(extra="allow")

    prompt_tokens: int
    completion_tokens: int | None
    total_tokens: int


class FoundPassage(BaseModel):
    """A passage that the model had in its prompt."""

    document_id: str
    title: str = Field(description="The document's.")
    heading: str | None = Field(description="That it stands under.")
    text: str
    score: float = Field(description="In the ranking's own measure; higher is better.")
    stale: bool = Field(description="Whether its document was replaced since: a newer version may say otherwise.")


class Retrieval(BaseModel):
    """What was found for the last question, the best first, as far as the prompt had room for it."""

    passages: list[FoundPassage]
    method: Method = Field(description="How they were ranked (INGRAIN_RETRIEVAL).")


class ChatCompletion(BaseModel):
    """An answer, in OpenAI's shape."""

    model_config = ConfigDict(extra="allow")

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str = Field(description="As the request named it.")
    choices: list[Choice]
    usage: Usage | None = None
    retrieval: Retrieval | None = Field(
        None, description="Only where the request asked for it. In a stream, the first chunk has it."
    )
