"""The one client of any engine that speaks vLLM's dialect of the OpenAI API: vLLM itself, or the embedded engine."""

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncGenerator, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import httpx

from app.chat_templates import TEMPLATE_ARGUMENTS
from app.engine.connections import Connections
from app.errors import (
    BadEngineRequest,
    ConfigurationError,
    EngineAsleep,
    EngineBusy,
    EngineUnavailable,
    IngrainError,
    UnknownModel,
)

logger = logging.getLogger(__name__)

Payload = Mapping[str, Any]

_CONNECT_SECONDS: Final = 5.0
_CONTROL_CONNECTIONS: Final = 32
_WRITE_ANSWERS: Final = ("/v1/chat/completions", "/v1/completions")
_ANSWER_SECONDS: Final = 600.0
_LOOK_SECONDS: Final = 10.0
_INTERNAL_ERROR: Final = 500


class EngineClient:
    """An engine at a URL. Use it as a context manager, or call `close`.

    Every call raises errors of `app.errors`: `BadEngineRequest` (the engine refuses the request, in its own words),
    `UnknownModel`, `EngineBusy` (its queue is full), `EngineUnavailable` (it does not answer, or broke off) and
    `EngineAsleep`. Each request is sent once; who asks again, and where, is the matter of `Engines`.

    Args:
        url: base URL, without /v1.
        api_key: the bearer key that the engine asks for; None: none.
        timeout: seconds to wait for the next byte of an answer.
        max_connections: answers that may be written at once; more wait.
    """

    def __init__(
        self,
        url: str,
        api_key: str | None = None,
        *,
        timeout: float = _ANSWER_SECONDS,
        max_connections: int = 256,
    ) -> None:
        self.url = url.rstrip("/")
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}

        def connections(most: int) -> httpx.AsyncClient:
            return httpx.AsyncClient(
                base_url=self.url,
                headers=headers,
                timeout=httpx.Timeout(timeout, connect=_CONNECT_SECONDS),
                transport=Connections(most),
                trust_env=False,
            )

        self._answers = connections(max_connections)
        self._http = connections(_CONTROL_CONNECTIONS)  # so that no number of answers holds up a look at its health

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()
        await self._answers.aclose()

    async def chat(self, payload: Payload) -> dict[str, Any]:
        """A whole chat completion."""
        return await self._post("/v1/chat/completions", _with_template_arguments(payload))

    async def complete(self, payload: Payload) -> dict[str, Any]:
        """A whole plain completion."""
        return await self._post("/v1/completions", payload)

    async def stream_chat(self, payload: Payload) -> AsyncGenerator[bytes]:
        """A chat completion's server-sent events, as the engine sends them.

        Nothing is asked again once the answer has begun. Closing the iterator (`aclose`, or the end of the task that
        reads it) closes the connection, upon which the engine frees what the answer held.

        Raises:
            EngineUnavailable: the engine broke off in the middle.
        """
        whole = {**_with_template_arguments(payload), "stream": True}
        response = await self._send("POST", "/v1/chat/completions", whole, stream=True)
        try:
            async for piece in response.aiter_raw():
                yield piece
        except httpx.TransportError as error:
            raise EngineUnavailable(f"The engine at {self.url} broke off its answer: {_reason(error)}.") from error
        finally:
            await response.aclose()

    async def tokenize(self, payload: Payload) -> dict[str, Any]:
        """Token ids of `prompt` or `messages`: `{"count", "max_model_len", "tokens"}`."""
        return await self._post("/tokenize", _with_template_arguments(payload) if "messages" in payload else payload)

    async def detokenize(self, payload: Payload) -> dict[str, Any]:
        """The text of `tokens`: `{"prompt"}`."""
        return await self._post("/detokenize", payload)

    async def models(self) -> list[dict[str, Any]]:
        """What the engine serves now: the base model, then the adapters, whose `parent` is the base model."""
        response = await self._send("GET", "/v1/models")
        data: list[dict[str, Any]] = response.json()["data"]
        return data

    async def health(self) -> None:
        """Return when the engine is healthy.

        Raises:
            EngineUnavailable: it is not.
        """
        await self._send("GET", "/health")

    async def version(self) -> str:
        """The version of the engine's software."""
        return str((await self._send("GET", "/version")).json()["version"])

    async def load_adapter(self, name: str, path: Path | str) -> None:
        """Load the adapter in a folder that the engine can read, under a name.

        An adapter that is there already is fine: a name never changes what it means. The folder is no business of
        those who chat, so an error names it in the log alone.

        Raises:
            BadEngineRequest: the engine cannot serve the adapter: its rank is too high, or its files are damaged.
            EngineUnavailable: the engine does not find the files (or, as it may be configured, loads no adapters).
        """
        try:
            await self._send("POST", "/v1/load_lora_adapter", {"lora_name": name, "lora_path": str(path)})
        except BadEngineRequest as error:
            if "has already been loaded" not in error.detail:
                raise
        except UnknownModel as error:
            logger.error("The engine at %s cannot load %s from %s: %s", self.url, name, path, error.detail)
            raise EngineUnavailable(
                f"The engine cannot read the adapter's files ({name}). It must see the folder of the store, or of its "
                "cache, under the same path as the service, and be allowed to load adapters; the service's log has "
                "its words.",
                extra={"engine_status": 404},
            ) from error
        except EngineUnavailable as error:  # vLLM calls an adapter that it cannot serve a failure of its own
            if error.extra.get("engine_status") != _INTERNAL_ERROR:
                raise
            raise BadEngineRequest(error.detail, extra=error.extra) from error

    async def unload_adapter(self, name: str) -> None:
        """Unload an adapter; one that is not there is fine."""
        with contextlib.suppress(UnknownModel):
            await self._send("POST", "/v1/unload_lora_adapter", {"lora_name": name})

    async def sleep(self, patience: float) -> None:
        """Put the engine to sleep: it gives its accelerator's memory back, and answers nothing until `wake_up`.

        Answers in progress have `patience` seconds to end; then they are broken off, as they are when the caller does
        not wait for it: a vLLM that is woken while it waits for them falls asleep after that.

        Raises:
            ConfigurationError: the engine has no such call.
            EngineUnavailable: it does not answer, or could not.
        """
        with self._able_to_sleep():
            try:
                async with asyncio.timeout(patience):
                    await self._send("POST", "/sleep?level=1&mode=wait")
            except (TimeoutError, asyncio.CancelledError) as error:
                await self._send("POST", "/sleep?level=1&mode=abort")
                if isinstance(error, asyncio.CancelledError):
                    raise

    async def wake_up(self) -> None:
        """Let the engine take requests again, with the adapters that it had.

        Raises:
            ConfigurationError: the engine has no such call.
            EngineUnavailable: it does not answer, or could not.
        """
        with self._able_to_sleep():
            await self._send("POST", "/wake_up")

    async def is_sleeping(self) -> bool:
        """Whether the engine sleeps, or is about to.

        Raises:
            ConfigurationError: the engine has no such call.
            EngineUnavailable: it does not answer.
        """
        with self._able_to_sleep():
            try:
                async with asyncio.timeout(_LOOK_SECONDS):
                    response = await self._send("GET", "/is_sleeping")
            except TimeoutError:
                raise EngineUnavailable(
                    f"The engine at {self.url} did not say within {_LOOK_SECONDS:.0f} s whether it sleeps."
                ) from None
        return bool(response.json()["is_sleeping"])

    @contextlib.contextmanager
    def _able_to_sleep(self) -> Iterator[None]:
        try:
            yield
        except UnknownModel as error:
            raise ConfigurationError(
                f"INGRAIN_VLLM_SLEEP is on, but the engine at {self.url} cannot sleep. Start vLLM with "
                "--enable-sleep-mode and VLLM_SERVER_DEV_MODE=1 in its environment, or set INGRAIN_VLLM_SLEEP=false."
            ) from error

    async def _post(self, path: str, payload: Payload) -> dict[str, Any]:
        body: dict[str, Any] = (await self._send("POST", path, payload)).json()
        return body

    async def _send(
        self, method: str, path: str, payload: Payload | None = None, *, stream: bool = False
    ) -> httpx.Response:
        http = self._answers if path in _WRITE_ANSWERS else self._http
        request = http.build_request(method, path, json=None if payload is None else dict(payload))
        try:
            response = await http.send(request, stream=stream)
            if response.is_error:
                await response.aread()
        except httpx.PoolTimeout as error:
            raise EngineBusy(
                f"All connections to the engine at {self.url} were answering; try again.", headers={"Retry-After": "5"}
            ) from error
        except httpx.TransportError as error:
            raise EngineUnavailable(f"The engine at {self.url} does not answer: {_reason(error)}.") from error
        if response.is_error:
            await response.aclose()
            raise _error(response)
        return response


def _with_template_arguments(payload: Payload) -> dict[str, Any]:
    given = payload.get("chat_template_kwargs") or {}
    return {**payload, "chat_template_kwargs": {**TEMPLATE_ARGUMENTS, **given}}


def _reason(error: httpx.TransportError) -> str:
    return str(error) or type(error).__name__


def _error(response: httpx.Response) -> IngrainError:
    """The engine's refusal as one of ours. vLLM's older versions and proxies do not nest the message under "error"."""
    try:
        body = response.json()
    except json.JSONDecodeError:
        body = {"error": {"message": response.text[:500]}}
    told = body.get("error", body) if isinstance(body, dict) else {"message": str(body)}
    told = told if isinstance(told, dict) else {"message": str(told)}
    text = str(told.get("message") or f"HTTP {response.status_code}")
    field = told.get("param") if isinstance(told.get("param"), str) else None
    extra: dict[str, Any] = {"engine_error": told}
    pause = response.headers.get("Retry-After", "")
    headers = {"Retry-After": pause if pause.isdigit() else "2"}
    if response.status_code == 429:
        return EngineBusy(text, headers=headers)
    if told.get("type") == "EngineAsleep":
        return EngineAsleep(text, extra=extra, headers=headers)
    if response.status_code >= 500:
        extra["engine_status"] = response.status_code
        return EngineUnavailable(f"The engine failed: {text}", extra=extra, headers=headers)
    if response.status_code == 401:
        return EngineUnavailable("The engine refuses our key (INGRAIN_ENGINE_API_KEY).")
    if response.status_code == 404:
        return UnknownModel(text, field=field, extra=extra)
    return BadEngineRequest(text, field=field, extra=extra)
