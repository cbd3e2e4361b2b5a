"""What `pairs` needs of whatever generates text."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to sample.

    Attributes:
        n: completions of one prompt.
        temperature: 0 is greedy.
        max_tokens: where a completion is cut off; its `finish_reason` is then "length".
        stop: strings that end a completion; they are not part of it.
    """

    n: int = 1
    temperature: float = 0.0
    top_p: float = 1.0
    max_tokens: int = 64
    stop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Completion:
    """One generated text, and why it ended: "stop" or "length"."""

    text: str
    finish_reason: str


class Writer(Protocol):
    """Generates text with the base model. Many calls may be in flight at once."""

    async def complete(self, prompt: str, sampling: Sampling, /) -> list[Completion]:
        """Go on from a plain prompt, `sampling.n` times."""

    async def chat(self, messages: Sequence[dict[str, str]], sampling: Sampling, /) -> list[Completion]:
        """Answer a chat through the model's own template, `sampling.n` times."""
