"""A request inside the engine, and the sequences (one for each of its `n` answers) that it becomes."""

import asyncio
import itertools
from dataclasses import dataclass, field

import torch

from worker.engine.prefixes import block_names
from worker.engine.sampling import SamplingParams, TokenLogprob
from worker.engine.slots import Trunk
from worker.engine.text import TextStream

_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Adapter:
    """An adapter in the engine's memory. `load` is counted up at each load, so a name used again is another adapter."""

    name: str
    path: str
    rank: int
    load: int

    @property
    def peft_name(self) -> str:
        """What peft calls it: its own names may not hold dots, and a name is never used twice."""
        return f"load{self.load}"


@dataclass(frozen=True, slots=True)
class Output:
    """What is new of one answer. `finish_reason` is set in its last output.

    Attributes:
        index: which of the `n` answers.
        text: text since the output before.
        tokens: tokens since the output before.
        logprobs: one for each of `tokens`, where asked for.
        stop_reason: the stop string or token that ended it, if one did.
    """

    index: int
    text: str
    tokens: tuple[int, ...]
    logprobs: tuple[TokenLogprob, ...]
    finish_reason: str | None
    stop_reason: str | int | None = None


@dataclass(eq=False, slots=True)
class Request:
    """One prompt to be answered `params.n` times.

    The engine's thread puts `Output`s (and at last None, or an exception) on `outputs` through `loop`. Without `stream`
    each answer comes as one output.
    """

    prompt: tuple[int, ...]
    params: SamplingParams
    adapter: Adapter | None
    stream: bool
    loop: asyncio.AbstractEventLoop
    outputs: "asyncio.Queue[Output | Exception | None]"
    number: int = field(default_factory=lambda: next(_numbers))
    cancelled: bool = False
    prompt_logprobs: list[TokenLogprob] = field(default_factory=list)
    cached_tokens: int = 0
    unfinished: int = 0
    names: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.names = block_names(self.adapter.load if self.adapter else 0, self.prompt)
        self.unfinished = self.params.n


@dataclass(eq=False, slots=True)
class Sequence:
    """One answer in the making; it holds one slot. `computed` counts its tokens whose keys and values are there."""

    request: Request
    index: int
    text: TextStream
    generator: torch.Generator | None
    trunk: Trunk | None = None
    computed: int = 0
    generated: list[int] = field(default_factory=list)
    logprobs: list[TokenLogprob] = field(default_factory=list)
    reported: int = 0

    @property
    def prefilling(self) -> bool:
        """Whether some of its prompt has not been computed."""
        return self.computed < len(self.request.prompt)

    @property
    def missing(self) -> int:
        """How many tokens of its prompt have not been computed."""
        return len(self.request.prompt) - self.computed

    @property
    def incremental(self) -> bool:
        """Whether its text is wanted as it grows; otherwise it is decoded once, at the end."""
        return self.request.stream or bool(self.request.params.stop)

    def take(self, token: int, end_tokens: frozenset[int]) -> Output | None:
        """Add a token; returns what is to be told: the end of the sequence, or of a stream each token."""
        params = self.request.params
        reason: str | None = None
        stopped_by: str | int | None = None
        if params.max_tokens > 0:
            self.generated.append(token)
            if token in params.stop_token_ids:
                reason, stopped_by = "stop", token
            elif token in end_tokens and not params.ignore_eos:
                reason = "stop"
            elif self.incremental:
                self.text.push(token)
        if reason is None and len(self.generated) >= params.max_tokens:
            reason = "length"
        if reason and stopped_by is None and self.text.stopped_by is None:
            self._finish_text(without_last=reason == "stop")
        if self.text.stopped_by is not None:
            reason, stopped_by = "stop", self.text.stopped_by
        return self._output(reason, stopped_by) if reason or self.request.stream else None

    def _output(self, reason: str | None, stopped_by: str | int | None) -> Output:
        tokens = tuple(self.generated[self.reported :])
        logprobs = tuple(self.logprobs[self.reported : len(self.generated)])
        self.reported = len(self.generated)
        return Output(self.index, self.text.take(last=reason is not None), tokens, logprobs, reason, stopped_by)

    def _finish_text(self, *, without_last: bool) -> None:
        """Complete the text; the token that ended the sequence is no part of it."""
        if not self.incremental:
            self.text.set(self.generated[:-1] if without_last else self.generated)
        self.text.finish()

    @property
    def adapter_name(self) -> str | None:
        """What peft calls its adapter."""
        return self.request.adapter.peft_name if self.request.adapter else None

    @property
    def in_slot(self) -> int:
        """How many tokens its slot holds: what is computed beyond its trunk."""
        return self.computed - (self.trunk.length if self.trunk else 0)

    @property
    def last_token(self) -> int:
        """The token whose keys and values come next."""
        return self.generated[-1]
