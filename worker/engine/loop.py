"""Continuous batching: one thread that owns the model.

Each step takes in waiting requests, computes a bounded piece of new prompts, then one token of every running sequence,
so a long prompt never holds up the others for longer than its piece. Requests that share the beginning of a prompt
with one that is just being computed wait for it, and then take its blocks from the prefix cache.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

import torch

from worker.engine.adapters import Adapters
from worker.engine.batch import Batch
from worker.engine.errors import EngineError, asleep, overloaded, unavailable
from worker.engine.outbox import Outbox
from worker.engine.runner import Chunk, Runner
from worker.engine.sampling import sample, token_logprobs
from worker.engine.sequences import Adapter, Request, Sequence
from worker.engine.sleep import Sleep

log = logging.getLogger(__name__)
T = TypeVar("T")
_LOOK_AHEAD = 512
_HELD_STEPS = 4
_PASS_TOKENS = 64  # a pass over the model costs about as much as this many tokens in it


@dataclass(frozen=True, slots=True)
class Limits:
    """How much the engine takes on.

    Attributes:
        rows: sequences that run at once.
        step_tokens: prompt tokens that one step computes.
        queue: sequences that may wait; beyond it requests are refused.
        prefix_bytes: memory of the prefix cache.
    """

    rows: int
    step_tokens: int
    queue: int
    prefix_bytes: int


class EngineLoop(threading.Thread):
    """The model's thread. Other threads call `submit`, `cancel`, `call`, `sleep`, `wake_up` and `stop`.

    Attributes:
        failed: whether the thread ended on an error of its own; the engine is of no use then.
    """

    def __init__(
        self, runner: Runner, adapters: Adapters, tokenizer: Any, end_tokens: frozenset[int], limits: Limits
    ) -> None:
        super().__init__(name="model", daemon=True)
        self.adapters = adapters
        self.failed = False
        self._runner = runner
        self._end_tokens = end_tokens
        self._limits = limits
        self._batch = Batch(runner, tokenizer, limits.prefix_bytes)
        self._running = self._batch.sequences
        self._waiting: deque[Request] = deque()
        self._calls: deque[tuple[Callable[[], Any], Future[Any]]] = deque()
        self._awake = threading.Condition()
        self._sleep = Sleep()
        self._deadline: float | None = None
        self._held = 0
        self._outbox = Outbox()

    # What other threads call

    def submit(self, request: Request) -> None:
        """Queue a request.

        Raises:
            EngineError: the queue is full, or the engine sleeps or stops.
        """
        with self._awake:
            self._refuse_unless_up()
            waiting = sum(queued.params.n for queued in self._waiting)
            if waiting and waiting + request.params.n > self._limits.queue:
                raise overloaded(f"{waiting} answers wait already, as many as may (--max-queue); try again later.")
            self._waiting.append(request)
            self._awake.notify()

    def cancel(self, request: Request) -> None:
        """Nobody waits for this request any more: its rows are freed before the next step."""
        request.cancelled = True

    def call(self, function: Callable[[], T]) -> "Future[T]":
        """Run `function` in this thread between two steps.

        Raises:
            EngineError: the engine sleeps or stops.
        """
        future: Future[T] = Future()
        with self._awake:
            self._refuse_unless_up()
            self._calls.append((function, future))
            self._awake.notify()
        return future

    @property
    def sleeps(self) -> bool:
        """Whether the engine sleeps, or takes nothing new because it is about to."""
        with self._awake:
            return self._sleep.wanted

    def sleep(self, *, abort: bool) -> "Future[None]":
        """Take nothing new and give the memory back; the future is done when that is so.

        Answers in the making end first, or with `abort` are broken off.

        Raises:
            EngineError: the engine stops.
        """
        return self._want(asleep=True, abort=abort)

    def wake_up(self) -> "Future[None]":
        """Take the memory and then requests again; the future is done when that is so.

        Raises:
            EngineError: the engine stops.
        """
        return self._want(asleep=False, abort=False)

    def _want(self, *, asleep: bool, abort: bool) -> "Future[None]":
        with self._awake:
            if self._deadline is not None:
                raise _stopping()
            future = self._sleep.want(asleep=asleep, abort=abort)
            self._awake.notify()
        return future

    def _refuse_unless_up(self) -> None:
        if self._deadline is not None:
            raise _stopping()
        if self._sleep.wanted:
            raise asleep()

    def stop(self, grace: float) -> None:
        """Take nothing new, and give up after `grace` seconds on what still runs."""
        with self._awake:
            self._deadline = time.monotonic() + grace
            self._awake.notify()

    def used_adapters(self) -> set[Adapter]:
        """Adapters that waiting or running requests name. Only for this thread."""
        with self._awake:
            requests = [*self._waiting, *(sequence.request for sequence in self._running)]
        return {request.adapter for request in requests if request.adapter}

    # The thread

    def run(self) -> None:
        """Serve until `stop`; after an error that no step's guard caught, let nobody wait for answers in vain."""
        try:
            self._serve()
            error = unavailable("The engine was stopped in the middle of the request.")
        except BaseException:
            log.critical("the model's thread failed", exc_info=True)
            self.failed = True
            self.stop(grace=0)
            error = unavailable("The engine failed in the middle of the request.")
        self._give_up(error)
        with self._awake:
            self._sleep.give_up(error)
        self._outbox.send()

    def _serve(self) -> None:
        """Step for as long as there is something to do; wait otherwise."""
        while True:
            with self._awake:
                while not (self._waiting or self._running or self._calls or self._deadline or self._sleep.turning):
                    self._awake.wait()
                calls = list(self._calls)
                self._calls.clear()
                if self._deadline and (time.monotonic() > self._deadline or not (self._waiting or self._running)):
                    break
            for function, future in calls:
                _fulfil(function, future)
            self._turn()
            try:
                with torch.inference_mode():
                    self._step()
            except Exception as error:
                log.exception("a step failed; its requests are given up")
                self._give_up(RuntimeError(f"The engine failed in the middle of the request: {error}"))
            self._outbox.send()

    def _turn(self) -> None:
        """Fall asleep or wake up, if that is asked for; no answer is in the making while the engine falls asleep."""
        with self._awake:
            if not self._sleep.turning:
                return
            wanted = self._sleep.wanted
            busy = wanted and (self._waiting or self._running)
            if busy and not self._sleep.aborts:
                return
        if busy:
            self._give_up(asleep())
        try:
            if wanted:
                self._batch.forget_prefixes()
                self._runner.sleep()
            else:
                self._runner.wake_up()
        except Exception as error:
            log.exception("the engine could not %s", "fall asleep" if wanted else "wake up")
            if wanted:
                self._runner.wake_up()
            with self._awake:
                self._sleep.failed(error)
        else:
            with self._awake:
                self._sleep.turned(asleep=wanted)

    def _step(self) -> None:
        self._drop_cancelled()
        if self.adapters.leaving:
            self.adapters.release(self.used_adapters())
        self._admit()
        self._prefill()
        self._decode()

    def _drop_cancelled(self) -> None:
        with self._awake:
            if any(request.cancelled for request in self._waiting):
                self._waiting = deque(request for request in self._waiting if not request.cancelled)
        for slot in reversed(range(len(self._running))):
            if self._running[slot].request.cancelled:
                self._batch.free(slot)

    def _admit(self) -> None:
        """Give slots to waiting requests, first come first served, as far as slots and this step's tokens reach."""
        free = self._limits.rows - sum(max(1, s.request.unfinished if s.prefilling else 1) for s in self._running)
        if self._gathers(free):
            return
        pending = [s for s in self._running if s.prefilling]
        budget = self._limits.step_tokens - sum(s.missing for s in pending)
        coming = {name for sequence in pending for name in sequence.request.names}
        with self._awake:
            candidates = [self._waiting[i] for i in range(min(len(self._waiting), _LOOK_AHEAD))]
        admitted = []
        for request in candidates:
            if budget <= 0 or request.params.n > free:
                break
            sequence = self._batch.place(request, coming)
            if sequence is None:
                continue
            admitted.append(request)
            free -= request.params.n
            budget -= sequence.missing
            coming.update(request.names)
        if admitted:
            taken = set(map(id, admitted))
            with self._awake:
                self._waiting = deque(request for request in self._waiting if id(request) not in taken)

    def _gathers(self, free: int) -> bool:
        """Whether to let some more slots become free before new prompts are computed, which costs a pass of its own.

        Only while most slots are busy, and only for a few steps: then a late request goes in alone.
        """
        busy = len(self._running) >= self._limits.rows // 2
        self._held = self._held + 1 if busy and free < self._limits.rows // 8 and self._held < _HELD_STEPS else 0
        return self._held > 0

    def _prefill(self) -> None:
        """Compute the next piece of new prompts; those whose prompt is whole get their first token."""
        budget = self._limits.step_tokens
        chosen: list[Sequence] = []
        for sequence in self._running:
            if sequence.prefilling and budget > 0:
                chosen.append(sequence)
                budget -= sequence.missing
        for reading in (False, True):
            group = [its for its in chosen if (its.request.params.prompt_logprobs is not None) is reading]
            for alike in _alike(group):
                self._prefill_group(alike, reading=reading)

    def _prefill_group(self, sequences: list[Sequence], *, reading: bool) -> None:
        slots = [self._running.index(sequence) for sequence in sequences]  # they move when others end
        chunks = [self._batch.chunk(slot, self._limits.step_tokens) for slot in slots]
        logits_RTV = self._runner.run(chunks, all_logits=reading)
        whole: list[int] = []
        for row, (slot, chunk) in enumerate(zip(slots, chunks, strict=True)):
            sequence = self._running[slot]
            if reading:
                self._read_prompt(sequence, chunk, logits_RTV[row, -len(chunk.tokens) :])
            sequence.computed += len(chunk.tokens)
            if not sequence.prefilling:
                self._batch.keep_prefix(slot)
                whole.append(row)
        if whole:
            self._begin([slots[row] for row in whole], logits_RTV[whole, -1])

    def _read_prompt(self, sequence: Sequence, chunk: Chunk, logits_TV: torch.Tensor) -> None:
        """Log-probabilities of the prompt's tokens: each is told by the position before it."""
        request = sequence.request
        following = list(request.prompt[chunk.start + 1 : chunk.start + 1 + len(chunk.tokens)])
        top = request.params.prompt_logprobs or 0
        request.prompt_logprobs += token_logprobs(logits_TV[: len(following)], following, top)

    def _begin(self, slots: list[int], logits_RV: torch.Tensor) -> None:
        """First tokens of all `n` answers of each prompt: the prompt was computed once, its slot is copied."""
        forks = [self._batch.fork(slot) for slot in slots]
        rows = [row for row, its in enumerate(forks) for _ in its]
        self._advance([slot for its in forks for slot in its], logits_RV[rows])

    def _decode(self) -> None:
        """One more token of every running sequence.

        The pass goes over all slots, so that the cache is used where it lies; sequences whose prompt is not whole yet
        take part with a token that is overwritten later.
        """
        slots = [slot for slot, sequence in enumerate(self._running) if not sequence.prefilling]
        if not slots:
            return
        chunks = [
            self._batch.resting(slot) if sequence.prefilling else self._batch.chunk(slot, 1)
            for slot, sequence in enumerate(self._running)
        ]
        logits_NV = self._runner.run(chunks)[:, -1]
        for slot in slots:
            self._running[slot].computed += 1
        self._advance(slots, logits_NV if len(slots) == len(chunks) else logits_NV[slots])

    def _advance(self, slots: list[int], logits_NV: torch.Tensor) -> None:
        """Choose each sequence's next token and end those that are done."""
        sequences = [self._running[slot] for slot in slots]
        params = [sequence.request.params for sequence in sequences]
        tokens = sample(logits_NV, params, [sequence.generator for sequence in sequences])
        reporting = [row for row, wanted in enumerate(params) if wanted.logprobs is not None]
        if reporting:
            top = max(params[row].logprobs or 0 for row in reporting)
            reports = token_logprobs(logits_NV[reporting], [tokens[row] for row in reporting], top)
            for row, report in zip(reporting, reports, strict=True):
                sequences[row].logprobs.append(report)
        ended = []
        for slot, sequence, token in zip(slots, sequences, tokens, strict=True):
            output = sequence.take(token, self._end_tokens)
            if output:
                self._outbox.put(sequence.request, output)
                ended += [slot] if output.finish_reason else []
        for slot in sorted(ended, reverse=True):
            self._batch.free(slot)

    def _give_up(self, error: Exception) -> None:
        with self._awake:
            requests = {id(request): request for request in self._waiting}
            self._waiting.clear()
            calls = list(self._calls)
            self._calls.clear()
        for _, future in calls:
            if future.set_running_or_notify_cancel():
                future.set_exception(error)
        requests |= {id(sequence.request): sequence.request for sequence in self._running}
        self._running.clear()
        for request in requests.values():
            self._outbox.give_up(request, error)


def _stopping() -> EngineError:
    return unavailable("The engine is stopping.")


def _fulfil(function: Callable[[], Any], future: "Future[Any]") -> None:
    """Run a call, unless who asked for it has gone: a future that was cancelled takes no result."""
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = function()
    except BaseException as error:
        future.set_exception(error)
    else:
        future.set_result(result)


def _alike(sequences: list[Sequence]) -> list[list[Sequence]]:
    """Groups whose missing pieces are about equally long: a pass pads to the longest, and costs something by itself."""
    groups: list[list[Sequence]] = []
    longest = wasted = 0
    for sequence in sorted(sequences, key=lambda its: -its.missing):
        wasted += longest - sequence.missing
        if not groups or wasted > _PASS_TOKENS:
            groups.append([])
            longest, wasted = sequence.missing, 0
        groups[-1].append(sequence)
    return groups
