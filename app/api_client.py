"""A small client of Ingrain's own API: what the commands use.

Answers are the API's JSON objects as they are, so that `--json` shows all of them. Errors say what to do:

ClientError
├── ServiceUnreachable   nothing answers at the URL
└── Refused              the service answered with a problem document
"""

import contextlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import httpx

from app.hosts import host_of, is_loopback

ENDED = ("succeeded", "failed", "cancelled")
Json = dict[str, Any]

_TIMEOUT = httpx.Timeout(connect=5, read=600, write=60, pool=5)  # an answer may wait behind the making of an adapter
_SILENCE_SECONDS = 60  # an event stream says something every 15 s, if only that it lives
_FEWEST_SECONDS, _MOST_SECONDS = 0.5, 10.0
_PATIENCE_SECONDS = 60.0


class ClientError(Exception):
    """The service could not be asked, or did not do what was asked."""


class ServiceUnreachable(ClientError):
    """Nothing answers at the URL."""


class Refused(ClientError):
    """The service answered with a problem document."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        self.status = status
        self.problem = dict(problem)
        self.type = str(problem.get("type", "")).rpartition("/")[2]
        super().__init__(str(problem.get("detail") or problem.get("title") or f"The service answered {status}."))


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a job."""

    number: int
    type: str
    data: Json


class IngrainClient:
    """Talks to the service at `url`, with `key` where it asks for one."""

    def __init__(self, url: str, key: str | None = None) -> None:
        self.url = url.rstrip("/")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        # A proxy of the environment cannot reach this machine's own addresses.
        beyond = not is_loopback(host_of(self.url))
        self._http = httpx.Client(base_url=self.url, headers=headers, timeout=_TIMEOUT, trust_env=beyond)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def create_document(
        self,
        content: bytes,
        file_name: str,
        *,
        title: str | None = None,
        alias: str | None = None,
        settings: Mapping[str, Any] | None = None,
        external_id: str | None = None,
        parent: str | None = None,
        make_adapter: bool = True,
    ) -> Json:
        """Post a document; the answer has `document`, `adapter` and `job`, the last two null without `make_adapter`."""
        form = {"title": title, "alias": alias, "settings": json.dumps(settings) if settings else None}
        form |= {"external_id": external_id, "parent": parent, "make_adapter": None if make_adapter else "false"}
        return self._call(
            "POST",
            "/v1/documents",
            data={name: value for name, value in form.items() if value is not None},
            files={"file": (file_name, content)},
        )

    def create_adapter(
        self,
        document_ids: Sequence[str],
        *,
        alias: str | None = None,
        settings: Mapping[str, Any] | None = None,
        parent: str | None = None,
    ) -> Json:
        """Make one adapter from documents that are there; the answer has `adapter` and `job`."""
        chosen = {"alias": alias, "settings": settings, "parent": parent}
        body = {"document_ids": list(document_ids), **{name: value for name, value in chosen.items() if value}}
        return self._call("POST", "/v1/adapters", json=body)

    def get(self, path: str, **params: str | int) -> Json:
        """Any resource, for example `/v1/jobs/job_…`."""
        return self._call("GET", path, params=params)

    def page(self, path: str, **params: str | int) -> str:
        """A page for people, for example `/v1/adapters/adp_…/report`."""
        return self._send("GET", path, params=params, headers={"Accept": "text/html"}).text

    def list_all(self, path: str, limit: int) -> list[Json]:
        """The first `limit` things of a list that comes in pages."""
        found: list[Json] = []
        cursor: str | None = None
        while len(found) < limit:
            params: dict[str, str | int] = {"limit": min(100, limit - len(found))}
            page = self.get(path, **params, **({"cursor": cursor} if cursor else {}))
            found += page["data"]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        return found

    def job(self, job_id: str) -> Json:
        """A job, with its status, progress, timings and summaries by stage."""
        return self.get(f"/v1/jobs/{job_id}")

    def cancel(self, job_id: str) -> Json:
        """Stop a job."""
        return self._call("POST", f"/v1/jobs/{job_id}/cancel")

    def retry(self, job_id: str) -> Json:
        """Queue a failed or cancelled job again."""
        return self._call("POST", f"/v1/jobs/{job_id}/retry")

    def base_model(self) -> str:
        """The name by which the base model is asked."""
        return next(str(model["id"]) for model in self.get("/v1/models")["data"] if model["parent"] is None)

    def follow(self, job_id: str, after: int = 0) -> Iterator[Event]:
        """The job's events as they happen, until it has ended. A connection that breaks goes on where it was.

        Raises:
            ServiceUnreachable: the service stayed away for a minute.
            Refused: the job does not exist.
        """
        number, pause, lost_at = after, _FEWEST_SECONDS, time.monotonic()
        while True:
            with contextlib.suppress(httpx.TransportError):
                for event in self._stream_events(job_id, number):
                    number, pause, lost_at = event.number, _FEWEST_SECONDS, time.monotonic()
                    yield event
            with contextlib.suppress(ServiceUnreachable):
                if self.job(job_id)["status"] in ENDED and not self._events_after(job_id, number):
                    return
                lost_at = time.monotonic()
            if time.monotonic() - lost_at > _PATIENCE_SECONDS:
                raise self._unreachable()
            time.sleep(pause)
            pause = min(_MOST_SECONDS, pause * 2)

    def _events_after(self, job_id: str, number: int) -> list[Json]:
        events: list[Json] = self.get(f"/v1/jobs/{job_id}/events", after=number)["data"]
        return events

    def _stream_events(self, job_id: str, after: int) -> Iterator[Event]:
        headers = {"Accept": "text/event-stream", "Last-Event-ID": str(after)}
        timeout = httpx.Timeout(5, read=_SILENCE_SECONDS)
        with self._http.stream("GET", f"/v1/jobs/{job_id}/events", headers=headers, timeout=timeout) as answer:
            _raise_for_problem(answer)
            for data in _data_of(answer):
                content = json.loads(data)
                yield Event(content["number"], content["type"], content["data"])

    def chat(self, model: str, messages: Sequence[Mapping[str, str]], **options: Any) -> str:
        """The answer to a conversation."""
        return str(self.complete_chat(model, messages, **options)["choices"][0]["message"]["content"])

    def complete_chat(self, model: str, messages: Sequence[Mapping[str, str]], **options: Any) -> Json:
        """The answer to a conversation, with all that comes with it."""
        return self._call("POST", "/v1/chat/completions", json={"model": model, "messages": messages, **options})

    def stream_chat(self, model: str, messages: Sequence[Mapping[str, str]], **options: Any) -> Iterator[Json]:
        """The chunks of the answer to a conversation, as it is generated."""
        request = {"model": model, "messages": messages, "stream": True, **options}
        try:
            with self._http.stream("POST", "/v1/chat/completions", json=request) as answer:
                _raise_for_problem(answer)
                for data in _data_of(answer):
                    if data == "[DONE]":
                        return
                    piece = json.loads(data)
                    if "error" in piece:
                        raise Refused(502, {"detail": piece["error"].get("message")})
                    yield piece
        except httpx.TransportError as error:
            raise self._unreachable() from error

    def _call(self, method: str, path: str, **request: Any) -> Json:
        answer = self._send(method, path, **request)
        try:
            content: Json = answer.json()
        except ValueError:
            raise ClientError(f"{self.url} answered, but not as Ingrain does. Is it another program?") from None
        return content

    def _send(self, method: str, path: str, **request: Any) -> httpx.Response:
        try:
            answer = self._http.request(method, path, **request)
        except httpx.TransportError as error:
            raise self._unreachable() from error
        except (httpx.InvalidURL, UnicodeEncodeError) as error:
            raise ClientError(f"{self.url}{path} is not a usable address: {error}") from error
        _raise_for_problem(answer)
        return answer

    def _unreachable(self) -> ServiceUnreachable:
        return ServiceUnreachable(f"Nothing answers at {self.url}.")


def _raise_for_problem(answer: httpx.Response) -> None:
    if answer.is_success:
        return
    answer.read()
    try:
        problem = answer.json()
    except ValueError:
        problem = None
    raise Refused(answer.status_code, problem if isinstance(problem, dict) else {})


def _data_of(answer: httpx.Response) -> Iterator[str]:
    """The `data` of each server-sent event."""
    lines: list[str] = []
    for line in answer.iter_lines():
        if line.startswith("data:"):
            lines.append(line.removeprefix("data:").removeprefix(" "))
        elif not line and lines:
            yield "\n".join(lines)
            lines = []
