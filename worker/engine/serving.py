"""Requests of the dialect, from the parsed body to the answer: what HTTP hands over and gets back."""

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator
from concurrent.futures import Future
from typing import Any

from worker.engine.adapters import Adapters
from worker.engine.errors import EngineError, not_found, unavailable
from worker.engine.loop import EngineLoop
from worker.engine.prompts import Prompts
from worker.engine.protocol import ChatRequest, CompletionRequest, GenerationRequest
from worker.engine.responses import Answer, Writer, envelope, model_card, usage
from worker.engine.sequences import Adapter, Output, Request


class Serving:
    """Answers requests with one engine loop."""

    def __init__(
        self, name: str, root: str, loop: EngineLoop, adapters: Adapters, prompts: Prompts, max_answers: int
    ) -> None:
        self._name = name
        self._root = root
        self._loop = loop
        self._adapters = adapters
        self.prompts = prompts
        self._max_answers = max_answers
        self._writer = Writer(prompts.tokenizer)
        self._started = int(time.time())

    @property
    def alive(self) -> bool:
        """Whether the model's thread runs."""
        return self._loop.is_alive()

    # Models and adapters

    def models(self) -> dict[str, Any]:
        """GET /v1/models: the base model first, then the adapters."""
        base = model_card(self._name, self._root, None, self.prompts.max_length, self._started)
        loaded = [model_card(a.name, a.path, self._name, None, self._started) for a in self._adapters.all()]
        return {"object": "list", "data": [base, *loaded]}

    async def load_adapter(self, name: str, path: str) -> None:
        """Load an adapter from a local folder, under a name."""
        if name == self._name:
            raise EngineError(
                f"The lora adapter '{name}' conflicts with a served base model.",
                kind="InvalidUserInput",
                param="lora_name",
            )
        self._adapters.check(name, path)

        def load() -> Adapter:
            self._adapters.release(self._loop.used_adapters())
            return self._adapters.load(name, path)

        await asyncio.wrap_future(self._loop.call(load))

    async def unload_adapter(self, name: str) -> None:
        """Unload an adapter; answers in progress are finished first."""
        await asyncio.wrap_future(self._loop.call(lambda: self._adapters.retire(name)))

    def adapter(self, model: str | None) -> Adapter | None:
        """The adapter that a request's `model` means; None for the base model, which need not be named.

        Raises:
            EngineError: there is no such model.
        """
        if not model or model == self._name:
            return None
        adapter = self._adapters.get(model)
        if adapter is None:
            raise not_found(f"The model `{model}` does not exist.", "model")
        return adapter

    # Sleep

    @property
    def sleeps(self) -> bool:
        """Whether the engine sleeps, or takes nothing new because it is about to."""
        return self._loop.sleeps

    async def sleep(self, *, abort: bool) -> None:
        """Give the accelerator's memory back; answers in progress end first, or with `abort` are broken off.

        Raises:
            EngineError: it could not, or was woken meanwhile.
        """
        await _turned(self._loop.sleep(abort=abort))

    async def wake_up(self) -> None:
        """Take requests again.

        Raises:
            EngineError: it could not, or was put to sleep meanwhile.
        """
        await _turned(self._loop.wake_up())

    # Completions

    def begin_chat(self, body: ChatRequest) -> list[Request]:
        """Queue a chat."""
        adapter = self.adapter(body.model)
        prompt = self.prompts.chat(body)
        wanted = body.max_completion_tokens or body.max_tokens
        return self._submit(body, [prompt], wanted, adapter, "messages")

    def begin_completion(self, body: CompletionRequest) -> list[Request]:
        """Queue a plain completion: one request for each prompt."""
        adapter = self.adapter(body.model)
        prompts: list[Any]
        if isinstance(body.prompt, str) or (body.prompt and isinstance(body.prompt[0], int)):
            prompts = [body.prompt]
        else:
            prompts = list(body.prompt)
        if not prompts:
            raise EngineError("The prompt is empty: it has no tokens.", param="prompt")
        tokens = [
            self.prompts.text(prompt, add_special_tokens=body.add_special_tokens)
            if isinstance(prompt, str)
            else self.prompts.check_ids(prompt)
            for prompt in prompts
        ]
        return self._submit(body, tokens, body.max_tokens, adapter, "prompt")

    def _submit(
        self, body: GenerationRequest, prompts: list[list[int]], wanted: int | None, adapter: Adapter | None, param: str
    ) -> list[Request]:
        if body.n > self._max_answers:
            raise EngineError(
                f"n must be at most {self._max_answers}, the rows of this engine (--max-num-seqs); got {body.n}.",
                param="n",
            )
        lengths = [self.prompts.answer_length(prompt, wanted, param=param) for prompt in prompts]
        loop = asyncio.get_running_loop()
        requests = [
            Request(tuple(prompt), body.sampling(length), adapter, body.stream, loop, asyncio.Queue())
            for prompt, length in zip(prompts, lengths, strict=True)
        ]
        for number, request in enumerate(requests):
            try:
                self._loop.submit(request)
            except EngineError:
                self.abandon(requests[:number])
                raise
        return requests

    def abandon(self, requests: list[Request]) -> None:
        """Nobody waits any more: free what the requests hold."""
        for request in requests:
            self._loop.cancel(request)

    async def _answers(self, request: Request) -> list[Answer]:
        answers = [Answer(index) for index in range(request.params.n)]
        while (output := await _next(request)) is not None:
            answers[output.index].add(output)
        return answers

    async def chat(self, body: ChatRequest, requests: list[Request]) -> dict[str, Any]:
        """The whole answer to a chat."""
        request = requests[0]
        answers = await self._answers(request)
        choices = [
            {
                "index": answer.index,
                "message": {"role": "assistant", "content": answer.text},
                "logprobs": self._writer.chat_logprobs(answer.logprobs, as_id=body.return_tokens_as_token_ids)
                if body.logprobs
                else None,
                "finish_reason": answer.finish_reason,
                "stop_reason": answer.stop_reason,
                **({"token_ids": answer.tokens} if body.return_token_ids else {}),
            }
            for answer in answers
        ]
        more = {"prompt_token_ids": list(request.prompt)} if body.return_token_ids else {}
        return envelope(
            "chat.completion",
            _identifier("chatcmpl"),
            self._model(requests),
            choices,
            usage=_usage(requests, sum(len(answer.tokens) for answer in answers)),
            prompt_logprobs=self._writer.prompt_logprobs(request),
            **more,
        )

    async def completion(self, body: CompletionRequest, requests: list[Request]) -> dict[str, Any]:
        """The whole answer to plain completions."""
        gathered = [await self._answers(request) for request in requests]
        choices = [
            self._choice(body, request, answer, number * body.n + answer.index)
            for number, (request, answers) in enumerate(zip(requests, gathered, strict=True))
            for answer in answers
        ]
        written = sum(len(answer.tokens) for answers in gathered for answer in answers)
        model = self._model(requests)
        return envelope("text_completion", _identifier("cmpl"), model, choices, usage=_usage(requests, written))

    def _choice(self, body: CompletionRequest, request: Request, answer: Answer, index: int) -> dict[str, Any]:
        tokens = list(answer.tokens)
        logprobs: list[Any] = list(answer.logprobs)
        text = answer.text
        if body.echo:
            tokens = [*request.prompt, *tokens]
            logprobs = [None, *request.prompt_logprobs, *logprobs]
            echoed = body.prompt if isinstance(body.prompt, str) else self._decode(request.prompt)
            text = echoed + text
        as_id = body.return_tokens_as_token_ids
        return {
            "index": index,
            "text": text,
            "logprobs": None
            if body.logprobs is None
            else self._writer.completion_logprobs(tokens, logprobs, as_id=as_id),
            "finish_reason": answer.finish_reason,
            "stop_reason": answer.stop_reason,
            "prompt_logprobs": self._writer.prompt_logprobs(request) if body.prompt_logprobs is not None else None,
            **({"token_ids": answer.tokens, "prompt_token_ids": list(request.prompt)} if body.return_token_ids else {}),
        }

    def _model(self, requests: list[Request]) -> str:
        """What the answer to the requests names as its model."""
        adapter = requests[0].adapter
        return adapter.name if adapter else self._name

    def _decode(self, tokens: tuple[int, ...]) -> str:
        text: str = self.prompts.tokenizer.decode(list(tokens), skip_special_tokens=True)
        return text

    # Streams

    async def stream_chat(self, body: ChatRequest, requests: list[Request]) -> AsyncIterator[str]:
        """Server-sent events of a chat; each answer begins with an event that names its role and holds no text."""
        identifier = _identifier("chatcmpl")
        started: set[int] = set()

        def choices(output: Output, _: int) -> list[dict[str, Any]]:
            logprobs = None
            if body.logprobs:
                logprobs = self._writer.chat_logprobs(output.logprobs, as_id=body.return_tokens_as_token_ids)
            chunk = _chunk(output, output.index, {"delta": {"content": output.text}}, logprobs)
            if output.index in started:
                return [chunk]
            started.add(output.index)
            delta = {"role": "assistant", "content": ""}
            return [{"index": output.index, "delta": delta, "logprobs": None, "finish_reason": None}, chunk]

        async for event in self._stream(body, requests, identifier, "chat.completion.chunk", choices):
            yield event

    async def stream_completion(self, body: CompletionRequest, requests: list[Request]) -> AsyncIterator[str]:
        """Server-sent events of plain completions."""

        def choices(output: Output, number: int) -> list[dict[str, Any]]:
            logprobs = None
            if body.logprobs is not None:
                as_id = body.return_tokens_as_token_ids
                logprobs = self._writer.completion_logprobs(output.tokens, output.logprobs, as_id=as_id)
            return [_chunk(output, number * body.n + output.index, {"text": output.text}, logprobs)]

        async for event in self._stream(body, requests, _identifier("cmpl"), "text_completion", choices):
            yield event

    async def _stream(
        self, body: GenerationRequest, requests: list[Request], identifier: str, kind: str, choices: Any
    ) -> AsyncIterator[str]:
        written = 0
        model = self._model(requests)
        try:
            async for number, output in _merged(requests):
                written += len(output.tokens)
                if output.text or output.finish_reason or output.logprobs:
                    for choice in choices(output, number):
                        yield _event(envelope(kind, identifier, model, [choice]))
            if body.stream_options and body.stream_options.include_usage:
                yield _event(envelope(kind, identifier, model, [], usage=_usage(requests, written)))
        except EngineError as error:
            yield _event(error.body)
        finally:
            self.abandon(requests)
        yield "data: [DONE]\n\n"


async def _turned(future: "Future[None]") -> None:
    try:
        await asyncio.wrap_future(future)
    except EngineError:
        raise
    except Exception as error:
        raise unavailable(str(error)) from error


async def _next(request: Request) -> Output | None:
    output = await request.outputs.get()
    if isinstance(output, EngineError):
        raise output
    if isinstance(output, Exception):
        raise EngineError(str(output), status=500, kind="InternalServerError")
    return output


async def _merged(requests: list[Request]) -> AsyncIterator[tuple[int, Output]]:
    """Outputs of several requests as they come, each with its request's number."""
    if len(requests) == 1:
        while (output := await _next(requests[0])) is not None:
            yield 0, output
        return
    waiting = {asyncio.ensure_future(_next(request)): number for number, request in enumerate(requests)}
    try:
        while waiting:
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                number = waiting.pop(task)
                output = task.result()
                if output is not None:
                    waiting[asyncio.ensure_future(_next(requests[number]))] = number
                    yield number, output
    finally:
        for task in waiting:
            task.cancel()


def _chunk(output: Output, index: int, content: dict[str, Any], logprobs: dict[str, Any] | None) -> dict[str, Any]:
    return {
        "index": index,
        **content,
        "logprobs": logprobs,
        "finish_reason": output.finish_reason,
        "stop_reason": output.stop_reason,
    }


def _event(data: dict[str, Any]) -> str:
    return f"data: {json.dumps(data, ensure_ascii=False)}\n\n"


def _identifier(prefix: str) -> str:
    return f"{prefix}-{uuid.uuid4().hex}"


def _usage(requests: list[Request], written: int) -> dict[str, Any]:
    prompt = sum(len(request.prompt) for request in requests)
    return usage(prompt, written, sum(request.cached_tokens for request in requests))
