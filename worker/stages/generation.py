"""The engine as the writer that `worker/pairs` asks for."""

import asyncio
import contextlib
import json
import time
import zlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from app.engine.engines import Engines
from app.engine.replica import Replica
from app.errors import EngineBusy, EngineUnavailable
from worker.pairs.writer import Completion, Sampling
from worker.stages import StageInputs
from worker.stages.journal import Journal
from worker.stages.turns import Turns

EMBEDDED = "ingrain"
"""Owner of the models that the embedded engine lists."""
JOURNAL_FILE = "answers.jsonl"
_TIMES_ASKED = 3


@dataclass(slots=True)
class Counts:
    """What a run of a stage asked of the engine.

    Attributes:
        requests: answered by the engine.
        from_journal: not asked, because a former run of the stage was answered.
        prompt_tokens: of the requests; cached_tokens of them were in the prefix cache.
        completion_tokens: that the engine wrote.
        seconds: in which a request was under way.
    """

    requests: int = 0
    from_journal: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0


class EngineWriter:
    """Generates with the base model that an engine serves.

    The embedded engine is given a seed with every request, so that the same job writes the same pairs. vLLM is not:
    seeds of single requests take its sampling off the fast path. vLLM is held to a schema where there is one; the
    embedded engine knows none.

    Args:
        engines: where to ask.
        model: the base model's name there.
        embedded: whether the engine is the embedded one.
        seed: of the job.
        most: requests under way at once.
        journal: what was answered already.
    """

    def __init__(self, engines: Engines, model: str, *, embedded: bool, seed: int, most: int, journal: Journal) -> None:
        self._engines = engines
        self._model = model
        self._embedded = embedded
        self._seed = seed
        self._turns = Turns(most)
        self._journal = journal
        self._counts = Counts()
        self._under_way = 0
        self._busy_since = 0.0

    async def complete(self, prompt: str, sampling: Sampling, /, *, group: str) -> list[Completion]:
        """Go on from a plain prompt."""
        payload = {**self._payload(sampling, prompt), "prompt": prompt}
        return await self._ask(payload, group, self._engines.complete, lambda choice: choice["text"])

    async def chat(
        self,
        messages: Sequence[dict[str, str]],
        sampling: Sampling,
        /,
        *,
        group: str,
        schema: Mapping[str, Any] | None = None,
    ) -> list[Completion]:
        """Answer a chat."""
        payload = {**self._payload(sampling, json.dumps(list(messages))), "messages": list(messages)}
        if sampling.scored:
            payload["logprobs"] = True
        if schema is not None and not self._embedded:
            held = {"name": "reply", "schema": dict(schema)}
            payload["response_format"] = {"type": "json_schema", "json_schema": held}
        return await self._ask(payload, group, self._engines.chat, lambda choice: choice["message"]["content"] or "")

    def counts(self) -> dict[str, Any]:
        """The `Counts` so far, as a job's record has them."""
        return {**asdict(self._counts), "seconds": round(self._counts.seconds, 3)}

    async def _ask(
        self,
        payload: dict[str, Any],
        group: str,
        send: Callable[..., Awaitable[dict[str, Any]]],
        text: Callable[[dict[str, Any]], str],
    ) -> list[Completion]:
        """What the engine, or the journal, answers to a request."""
        kept = self._journal.take(payload)
        if kept is not None:
            self._counts.from_journal += 1
            return kept
        async with self._turns.turn(group):
            with self._busy():
                answer = await _whole(lambda: send(payload, key=group))
        self._count(answer["usage"])
        completions = [
            Completion(text(choice), choice["finish_reason"], _mean_logprob(choice)) for choice in answer["choices"]
        ]
        self._journal.keep(payload, completions)
        return completions

    @contextlib.contextmanager
    def _busy(self) -> Iterator[None]:
        """Time in which at least one request is under way counts once."""
        if not self._under_way:
            self._busy_since = time.monotonic()
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._counts.seconds += time.monotonic() - self._busy_since

    def _count(self, usage: dict[str, Any]) -> None:
        self._counts.requests += 1
        self._counts.prompt_tokens += usage["prompt_tokens"]
        self._counts.completion_tokens += usage["completion_tokens"]
        details = usage.get("prompt_tokens_details") or {}  # vLLM tells them where it is started to
        self._counts.cached_tokens += details.get("cached_tokens") or 0

    def _payload(self, sampling: Sampling, prompt: str) -> dict[str, Any]:
        seeded = self._embedded and sampling.temperature > 0
        return {
            "model": self._model,
            "n": sampling.n,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "max_tokens": sampling.max_tokens,
            **({"stop": list(sampling.stop)} if sampling.stop else {}),
            **({"seed": zlib.crc32(f"{self._seed} {prompt}".encode())} if seeded else {}),
        }


def _mean_logprob(choice: dict[str, Any]) -> float | None:
    """Of a chat's answer, in nats a token; None where none was asked for, or nothing was written."""
    told = (choice.get("logprobs") or {}).get("content")
    return sum(token["logprob"] for token in told) / len(told) if told else None


async def _whole(ask: Callable[[], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
    """The first answer that the engine does not break off.

    vLLM ends what it has to drop, before it sleeps for example, as if in good order.

    Raises:
        EngineUnavailable: it broke off every one.
    """
    for _ in range(_TIMES_ASKED):
        answer = await ask()
        broken = {choice["finish_reason"] for choice in answer["choices"]} - {"stop", "length"}
        if not broken:
            return answer
    raise EngineUnavailable(f"The engine broke off an answer ({', '.join(map(str, broken))}).")


@contextlib.asynccontextmanager
async def open_writer(inputs: StageInputs) -> AsyncGenerator[EngineWriter]:
    """A writer for a stage of a job, which keeps what it was answered in the stage's scratch folder."""
    async with inputs.engine.open() as engines:
        embedded = await _is_embedded(engines)
        with Journal(inputs.scratch / JOURNAL_FILE) as journal:
            yield EngineWriter(
                engines,
                inputs.base_model_name,
                embedded=embedded,
                seed=inputs.settings.seed,
                most=inputs.engine.concurrency * len(inputs.engine.urls),
                journal=journal,
            )


async def _is_embedded(engines: Engines) -> bool:
    """Whether every replica that answers now is the embedded engine; waits until one answers."""

    async def models(replica: Replica) -> list[dict[str, Any]] | None:
        try:
            return await replica.client.models()
        except (EngineBusy, EngineUnavailable):
            return None

    lists = [await engines.models(), *await asyncio.gather(*map(models, engines.replicas))]
    return all(any(model.get("owned_by") == EMBEDDED for model in served) for served in lists if served is not None)


def forget_answers(inputs: StageInputs) -> None:
    """Forget what the stage was answered: nothing came of it, so a retry asks anew."""
    (inputs.scratch / JOURNAL_FILE).unlink(missing_ok=True)
