"""`ingrain up`: the whole service on this machine, until Ctrl-C."""

import signal
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.status import Status
from rich.table import Table

from app.commands.shared import NOT_DONE, EngineOption, JsonOption, Screen
from app.settings import get_settings
from app.supervisor.notices import Notice, StoppedEarly

if TYPE_CHECKING:
    from app.supervisor.supervisor import Supervisor


class StopRequests:
    """Counts the requests to stop: Ctrl-C, SIGTERM, a closed terminal. The second one makes it urgent."""

    def __init__(self) -> None:
        self.count = 0
        signals = [signal.SIGINT, signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # nohup asks to stay
            signals.append(signal.SIGHUP)
        for number in signals:
            signal.signal(number, self._note)

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self.count += 1

    def were_made(self) -> bool:
        """Whether to stop."""
        return self.count > 0

    def are_urgent(self) -> bool:
        """Whether to stop without waiting for anything."""
        return self.count > 1


class NoticeBoard:
    """Shows what the supervisor tells: a spinner on a terminal, lines elsewhere, JSON lines for machines."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._status: Status | None = None

    def show(self, notice: Notice) -> None:
        """One notice."""
        self._screen.data({"event": notice.event, "message": notice.message, **notice.details})
        if notice.event in {"starting", "preparing", "waiting", "stopping"} and self._screen.console.is_terminal:
            if self._status is None:
                self._status = self._screen.console.status(notice.message)
                self._status.start()
            self._status.update(escape(notice.message))
            return
        self.close()
        style = {"ready": "bold green", "died": "yellow", "warning": "yellow"}.get(notice.event)
        self._screen.console.print(notice.message, style=style, markup=False)

    def close(self) -> None:
        """Take the spinner away."""
        if self._status is not None:
            self._status.stop()
            self._status = None


def up(
    host: Annotated[
        str | None, typer.Option(help="Address to listen on; needs INGRAIN_API_KEYS beyond 127.0.0.1.")
    ] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = None,
    engine: EngineOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run the whole service on this machine: API, worker, engine, queue and database.

    Needs no configuration. All state is kept under INGRAIN_HOME (~/.ingrain). Parts that INGRAIN_REDIS_URL,
    INGRAIN_DATABASE_URL, INGRAIN_VLLM_URLS or INGRAIN_ENGINE_URL place elsewhere are not started. Ctrl-C ends
    everything.
    """
    from app.supervisor.supervisor import PartFailed, Supervisor  # only here: it loads the whole service

    options = {"host": host, "port": port, "engine": engine}
    chosen = {name: value for name, value in options.items() if value is not None}
    settings = get_settings().model_copy(update=chosen)
    screen = Screen(as_json)
    stop, board = StopRequests(), NoticeBoard(screen)
    supervisor = Supervisor(settings, board.show, stop.were_made)
    try:
        supervisor.start()
        _show_parts(screen, supervisor)
        supervisor.watch()
    except StoppedEarly:
        pass
    except PartFailed as error:
        board.close()
        screen.console.print(str(error), style="red", markup=False)
        raise typer.Exit(NOT_DONE) from None
    finally:
        try:
            supervisor.stop(stop.are_urgent)
        finally:
            board.close()


def _show_parts(screen: Screen, supervisor: "Supervisor") -> None:
    table = Table("part", "process", "answers at", "log", box=None, pad_edge=False, header_style="dim")
    for part in supervisor.parts:
        table.add_row(part.name, str(part.pid), escape(part.address), escape(str(part.log)), style="cyan")
    screen.console.print(table)
    screen.console.print(f"State is kept in {supervisor.settings.home}. The API is described at {supervisor.url}/docs.")
    screen.console.print("Teach it a document:  [bold]ingrain inject FILE[/]     Ctrl-C ends everything.")
