"""A writer whose replies a test decides, to try what is done with replies that no small model gives."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from worker.pairs.writer import Completion, Sampling


@dataclass(slots=True)
class ScriptedWriter:
    """Goes on from a plain prompt, and answers a chat's last message, as told; keeps what it was asked."""

    going_on: Callable[[str], str] = lambda _: ""
    answering: Callable[[str], str] = lambda _: ""
    logprob: float | None = None
    asked: list[str] = field(default_factory=list)
    samplings: list[Sampling] = field(default_factory=list)
    chats: list[Sequence[dict[str, str]]] = field(default_factory=list)

    async def complete(self, prompt: str, sampling: Sampling, /, **_: Any) -> list[Completion]:
        return self._completions(prompt, self.going_on, sampling)

    async def chat(self, messages: Sequence[dict[str, str]], sampling: Sampling, /, **_: Any) -> list[Completion]:
        self.chats.append(messages)
        return self._completions(messages[-1]["content"], self.answering, sampling)

    def _completions(self, prompt: str, reply: Callable[[str], str], sampling: Sampling) -> list[Completion]:
        self.asked.append(prompt)
        self.samplings.append(sampling)
        return [Completion(reply(prompt), "stop", self.logprob)] * sampling.n
