"""A job as it runs: bars on a terminal, a few plain lines elsewhere, the events themselves for machines."""

import time
from types import TracebackType
from typing import Any, Protocol, Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Column

from app.api_client import ENDED, Event, IngrainClient, Json
from app.commands.shared import Screen
from app.figures import duration
from app.jobs import floors

_PLAIN_SECONDS = 15.0  # between two lines about the same stage, where there are no bars
_LAST_STAGE_WIDTH, _BAR_WIDTH, _COUNT_WIDTH = 8, 24, 9


class JobDisplay(Protocol):
    """Shows the events of one job."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def show(self, event: Event) -> None:
        """One event."""


def follow_job(client: IngrainClient, job_id: str, screen: Screen, after: int = 0) -> Json:
    """Show a job's events until it has ended; the job as it is then."""
    display: JobDisplay = Bars(screen.console) if screen.console.is_terminal else Lines(screen.console)
    with display:
        for event in client.follow(job_id, after):
            screen.data({"number": event.number, "type": event.type, "data": event.data})
            display.show(event)
    return client.job(job_id)


class Bars:
    """A bar for each stage, with what it found, and one for the whole job, with the time that is left."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description}", table_column=Column(min_width=_LAST_STAGE_WIDTH)),
            BarColumn(_BAR_WIDTH, table_column=Column(min_width=_BAR_WIDTH)),
            TextColumn("{task.fields[count]}", justify="right", table_column=Column(min_width=_COUNT_WIDTH)),
            TextColumn("{task.fields[note]}", markup=False, style="dim", table_column=Column(overflow="fold")),
            console=console,
        )
        self._stages: dict[str, TaskID] = {}
        self._whole: TaskID | None = None

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def show(self, event: Event) -> None:
        """One event."""
        data, stage = event.data, str(event.data.get("stage") or "")
        if event.type == "stage_started":
            self._begin(stage)
        elif event.type == "progress" and stage:
            task, total = self._begin(stage), data.get("total") or None
            count = f"{data['done']}/{total}" if total else ""
            self._progress.update(task, completed=data["done"], total=total, count=count)
            self._show_whole(data)
        elif event.type == "stage_finished":
            note = f"{duration(data['seconds'])}  {describe(data.get('summary') or {})}"
            self._progress.update(self._begin(stage), completed=1, total=1, count="", note=note)
        elif sentence := sentence_of(event):
            self._progress.console.print(sentence)
        if event.type in ENDED:
            self._hide_whole()

    def _begin(self, stage: str) -> TaskID:
        if stage not in self._stages:
            self._hide_whole()  # it is shown again, as the last, with the next progress
            self._stages[stage] = self._progress.add_task(stage, total=None, count="", note="")
        return self._stages[stage]

    def _show_whole(self, data: Json) -> None:
        left = f"about {duration(data['eta_seconds'])} left" if data.get("eta_seconds") is not None else ""
        percent = round(100 * float(data.get("progress") or 0))
        if self._whole is None:
            self._whole = self._progress.add_task("[bold]all[/]", total=100, count="", note="")
        self._progress.update(self._whole, completed=percent, count=f"{percent} %", note=left)

    def _hide_whole(self) -> None:
        if self._whole is not None:
            self._progress.remove_task(self._whole)
            self._whole = None


class Lines:
    """A line when a stage ends, and now and then while it runs."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._told_at = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def show(self, event: Event) -> None:
        """One event."""
        data, stage = event.data, str(event.data.get("stage") or "")
        if event.type == "stage_finished":
            self._tell(f"  {stage:<8} {duration(data['seconds']):>7}   {escape(describe(data.get('summary') or {}))}")
        elif event.type == "progress" and stage and time.monotonic() - self._told_at >= _PLAIN_SECONDS:
            eta = data.get("eta_seconds")
            left = f", about {duration(eta)} left" if eta is not None else ""
            done = f"{data['done']} of {data['total']}" if data.get("total") else "runs"
            self._tell(f"  {stage:<8} {'…':>7}   {done} ({float(data.get('progress') or 0):.0%} of all{left})")
        elif sentence := sentence_of(event):
            self._tell(sentence)

    def _tell(self, line: str) -> None:
        self._told_at = time.monotonic()
        self._console.print(line)


def sentence_of(event: Event) -> str | None:
    """What to say of an event that is not about a stage's progress; None where nothing is."""
    if event.type == "retrying":
        return f"[yellow]Trying again:[/] {escape(str(event.data.get('reason') or ''))}"
    if event.type == "cancel_requested":
        return "[yellow]Cancelling …[/]"
    if event.type == "degraded":
        return f"[yellow]Degraded:[/] {escape(_describe_degraded(event.data))}"
    return None


def _describe_degraded(data: Json) -> str:
    """Why an adapter is degraded, and how to ask it all the same."""
    why = " ".join(map(floors.sentence_of, data["failed_floors"]))
    if not data["held_back"]:
        return why
    alias = data["held_back"]
    return f"{why} It can be asked by its id, and is not behind {alias}; PUT /v1/aliases/{alias} puts it there."


def describe(summary: Json) -> str:
    """A stage's summary in one line: "kept 45, 12 dropped (8 near-duplicate, 4 unfinished)"."""
    parts = []
    for name, value in summary.items():
        label = name.replace("_", " ")
        if name == "dropped" and isinstance(value, dict):
            parts.append(_describe_dropped(value))
        elif name in {"recall", "old"} and isinstance(value, dict):
            parts.append(("of the old " if name == "old" else "") + _describe_recall(value))
        elif name == "retention" and isinstance(value, dict):
            parts.append(_describe_retention(value))
        elif isinstance(value, float):
            parts.append(f"{label} {value:.3g}")
        elif isinstance(value, int | str):
            parts.append(f"{label} {value}")
    return ", ".join(part for part in parts if part)


def _describe_dropped(counts: dict[str, Any]) -> str:
    dropped = {reason: count for reason, count in counts.items() if isinstance(count, int) and count}
    if not dropped:
        return ""
    most_first = sorted(dropped.items(), key=lambda item: -item[1])
    return f"{sum(dropped.values())} dropped ({', '.join(f'{count} {reason}' for reason, count in most_first)})"


def _describe_recall(scores: dict[str, Json]) -> str:
    return "right: " + ", ".join(f"{who} {score['right']} of {score['of']}" for who, score in scores.items())


def _describe_retention(found: Json) -> str:
    return f"general questions: base {found['base_right']}, adapter {found['adapter_right']} of {found['prompts']}"
