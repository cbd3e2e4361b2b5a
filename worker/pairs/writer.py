"""What `pairs` needs of whatever generates text."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to sample.

    Attributes:
        n: completions of one prompt.
        temperature: 0 is greedy.
        max_tokens: where a completion is cut off; its `finish_reason` is then "length".
        stop: strings that end a completion; they are not part of it.
        scored: whether the completions of a chat tell how sure the model was of them.
    """

    n: int = 1
    temperature: float = 0.0
    top_p: float = 1.0
    max_tokens: int = 64
    stop: tuple[str, ...] = ()
    scored: bool = False


@dataclass(frozen=True, slots=True)
class Completion:
    """One generated text.

    Attributes:
        finish_reason: why it ended: "stop" or "length".
        logprob: mean log-probability of its tokens, in nats a token; None where it was not asked for.
    """

    text: str
    finish_reason: str
    logprob: float | None = None


class Writer(Protocol):
    """Generates text with the base model. Many calls may be in flight at once.

    Each names its group, the id of the passage that its prompt holds: calls of one group are made close together, so
    that the passage is computed once.
    """

    async def complete(self, prompt: str, sampling: Sampling, /, *, group: str) -> list[Completion]:
        """Go on from a plain prompt, `sampling.n` times."""

    async def chat(
        self,
        messages: Sequence[dict[str, str]],
        sampling: Sampling,
        /,
        *,
        group: str,
        schema: Mapping[str, Any] | None = None,
    ) -> list[Completion]:
        """Answer a chat through the model's own template, `sampling.n` times.

        Args:
            schema: JSON schema that the answer is held to by an engine that can; another may answer anything.
        """
