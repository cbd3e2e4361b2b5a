"""The dialect's requests: what vLLM's completions and chat completions take, as far as this engine does it.

A field that would change the answer and that this engine cannot do is refused, never ignored; vLLM does it.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from worker.engine.errors import EngineError
from worker.engine.sampling import SamplingParams

MAX_LOGPROBS: Final = 20

# Each with the values that mean "not used".
_UNSUPPORTED: Final[dict[str, tuple[Any, ...]]] = {
    "response_format": ({"type": "text"},),
    "tools": ([],),
    "tool_choice": ("none", "auto"),
    "functions": ([],),
    "function_call": ("none", "auto"),
    "parallel_tool_calls": (True, False),
    "logit_bias": ({},),
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
    "repetition_penalty": (1,),
    "length_penalty": (1,),
    "min_tokens": (0,),
    "best_of": (1,),
    "use_beam_search": (False,),
    "suffix": ("",),
    "bad_words": ([],),
    "allowed_token_ids": ([],),
    "truncate_prompt_tokens": (),
    "structured_outputs": (),
    "guided_json": (),
    "guided_regex": (),
    "guided_choice": (),
    "guided_grammar": (),
    "logits_processors": ([],),
    "prompt_embeds": (),
    "audio": (),
    "modalities": (["text"],),
    "prediction": (),
    "reasoning_effort": ("none",),
    "web_search_options": (),
    "thinking_token_budget": (),
    "documents": ([],),
    "mm_processor_kwargs": (),
    "kv_transfer_params": (),
    "priority": (0,),
}


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value or []


class StreamOptions(BaseModel):
    """What a stream holds besides the text."""

    include_usage: bool = False
    continuous_usage_stats: Literal[False] = False


class GenerationRequest(BaseModel, ABC):
    """What both kinds of completions share."""

    model_config = ConfigDict(extra="ignore", strict=False)

    model: str | None = None
    n: int = Field(1, ge=1)
    temperature: float = Field(1.0, ge=0, le=2)
    top_p: float = Field(1.0, gt=0, le=1)
    top_k: int = Field(0, ge=-1)
    min_p: float = Field(0.0, ge=0, le=1)
    max_tokens: int | None = None
    stop: Annotated[list[Annotated[str, Field(min_length=1)]], BeforeValidator(_as_list)] = []
    stop_token_ids: list[int] = []
    seed: int | None = Field(None, ge=-(2**63), lt=2**63)
    stream: bool = False
    stream_options: StreamOptions | None = None
    prompt_logprobs: int | None = Field(None, ge=0, le=MAX_LOGPROBS)
    ignore_eos: bool = False
    include_stop_str_in_output: bool = False
    skip_special_tokens: bool = True
    return_tokens_as_token_ids: bool = False
    return_token_ids: bool = False

    @model_validator(mode="before")
    @classmethod
    def _nulls_are_defaults(cls, data: object) -> object:
        if isinstance(data, Mapping):
            return {key: value for key, value in data.items() if value is not None}
        return data

    @model_validator(mode="after")
    def _stream_options_need_stream(self) -> "GenerationRequest":
        if self.stream_options and not self.stream:
            raise ValueError("stream_options may only be set when stream is true")
        if self.stream and self.prompt_logprobs is not None:
            raise ValueError("prompt_logprobs cannot be used with stream")
        return self

    @model_validator(mode="after")
    def _greedy_answers_are_all_the_same(self) -> "GenerationRequest":
        if self.n > 1 and self.temperature == 0:
            raise ValueError(f"n must be 1 when using greedy sampling (temperature 0), got {self.n}")
        return self

    @property
    @abstractmethod
    def wanted_logprobs(self) -> int | None:
        """How many likeliest tokens to report at each position; None: no report."""

    def sampling(self, max_tokens: int) -> SamplingParams:
        """The parameters for the engine."""
        return SamplingParams(
            n=self.n,
            temperature=self.temperature,
            top_p=self.top_p,
            top_k=max(0, self.top_k),
            min_p=self.min_p,
            max_tokens=max_tokens,
            stop=tuple(self.stop),
            stop_token_ids=frozenset(self.stop_token_ids),
            seed=self.seed,
            ignore_eos=self.ignore_eos,
            logprobs=self.wanted_logprobs,
            prompt_logprobs=self.prompt_logprobs,
            include_stop=self.include_stop_str_in_output,
            skip_special=self.skip_special_tokens,
        )


class CompletionRequest(GenerationRequest):
    """POST /v1/completions."""

    prompt: str | list[int] | list[str] | list[list[int]]
    max_tokens: int | None = Field(16, ge=0)
    logprobs: int | None = Field(None, ge=0, le=MAX_LOGPROBS)
    echo: bool = False
    add_special_tokens: bool = True

    @model_validator(mode="after")
    def _echo_cannot_stream(self) -> "CompletionRequest":
        if self.echo and self.stream:
            raise ValueError("echo cannot be used with stream")
        if self.max_tokens == 0 and not (self.echo or self.prompt_logprobs is not None):
            raise ValueError("max_tokens must be at least 1 without echo or prompt_logprobs")
        return self

    @property
    def wanted_logprobs(self) -> int | None:
        """As asked for."""
        return self.logprobs

    def sampling(self, max_tokens: int) -> SamplingParams:
        """With echo, log-probabilities are those of the prompt too."""
        params = super().sampling(max_tokens)
        if self.echo and self.logprobs is not None and params.prompt_logprobs is None:
            params = SamplingParams(**{**_fields(params), "prompt_logprobs": self.logprobs})
        return params


class ContentPart(BaseModel):
    """A piece of a message; this engine reads text only."""

    type: Literal["text"]
    text: str


class Message(BaseModel):
    """A turn of a chat."""

    model_config = ConfigDict(extra="allow")

    role: str = Field(min_length=1)
    content: str | list[ContentPart] | None = None

    def plain(self) -> dict[str, str]:
        """As chat templates want it."""
        content = self.content
        text = content if isinstance(content, str) else "\n".join(part.text for part in content or [])
        return {"role": self.role, "content": text}


class ChatRendering(BaseModel):
    """How messages become a prompt."""

    messages: list[Message] = Field(min_length=1)
    add_generation_prompt: bool = True
    continue_final_message: bool = False
    chat_template_kwargs: dict[str, Any] = {}

    @model_validator(mode="after")
    def _one_way_to_end(self) -> "ChatRendering":
        if self.add_generation_prompt and self.continue_final_message:
            raise ValueError("continue_final_message needs add_generation_prompt to be false")
        return self


class ChatRequest(GenerationRequest, ChatRendering):
    """POST /v1/chat/completions."""

    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    logprobs: bool = False
    top_logprobs: int | None = Field(None, ge=0, le=MAX_LOGPROBS)

    @model_validator(mode="after")
    def _top_needs_logprobs(self) -> "ChatRequest":
        if self.top_logprobs and not self.logprobs:
            raise ValueError("when using top_logprobs, logprobs must be set to true")
        return self

    @property
    def wanted_logprobs(self) -> int | None:
        """`top_logprobs`, where `logprobs` is on."""
        return (self.top_logprobs or 0) if self.logprobs else None


class TokenizeRequest(BaseModel):
    """POST /tokenize, of a prompt or of messages."""

    model: str | None = None
    prompt: str | None = None
    messages: list[Message] | None = None
    add_special_tokens: bool | None = None
    add_generation_prompt: bool = True
    continue_final_message: bool = False
    chat_template_kwargs: dict[str, Any] = {}
    return_token_strs: bool = False


class DetokenizeRequest(BaseModel):
    """POST /detokenize."""

    model: str | None = None
    tokens: list[int]


def refuse_unsupported(body: Mapping[str, Any]) -> None:
    """Refuse fields that this engine would have to ignore.

    Raises:
        EngineError: one is used.
    """
    for name, unused in _UNSUPPORTED.items():
        value = body.get(name)
        if value is not None and value not in unused:
            raise EngineError(
                f"{name} is not supported by the embedded engine (got {json.dumps(value)[:80]}); vLLM supports it.",
                param=name,
            )


def _fields(params: SamplingParams) -> dict[str, Any]:
    return {name: getattr(params, name) for name in SamplingParams.__slots__}
