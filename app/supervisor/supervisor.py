"""Starts the parts, restarts what dies or no longer works, and ends them all, in reverse order."""

import time
from collections.abc import Sequence

from sqlalchemy.exc import SQLAlchemyError

from app.auth import check_exposure
from app.errors import ConfigurationError
from app.migrate import upgrade
from app.settings import Settings
from app.supervisor import ports
from app.supervisor.base_model import prepare_base_model
from app.supervisor.lock import HomeLock
from app.supervisor.logs import rotate
from app.supervisor.notices import IsStopped, Notice, StoppedEarly, Tell
from app.supervisor.part import Part
from app.supervisor.plan import check_engine, choose_engine, make_parts
from app.supervisor.vllm import why_only_for_tests

_POLL_SECONDS = 0.2
_START_SECONDS = 900.0  # a large model is read from a slow disk
_REMIND_SECONDS = 10.0
_LOOK_SECONDS = 10.0
_IDLE_SECONDS = 60.0  # a part that did not work for this long is started again
_STEADY_SECONDS = 60.0  # a part that ran this long starts again from no failures
_MOST_FAILURES = 5
_LONGEST_BACKOFF_SECONDS = 30.0
_ROTATE_SECONDS = 60.0


class PartFailed(Exception):
    """A part ended and will not be started again. Says which, how, its last lines and where the rest is."""

    def __init__(self, part: Part, what: str) -> None:
        words = part.last_words()
        logged = f" Its last lines:\n\n{words}\n" if words else ""
        super().__init__(f"The {part.name} {what}.{logged}\nIts log is {part.log}.")


class Supervisor:
    """One embedded installation. `start`, then `watch`, and `stop` in any case."""

    def __init__(self, settings: Settings, tell: Tell, is_stopped: IsStopped) -> None:
        self.settings = settings
        self.parts: Sequence[Part] = ()
        self._tell = tell
        self._is_stopped = is_stopped
        self._lock = HomeLock(settings.home)

    @property
    def url(self) -> str:
        """Where the API answers."""
        return ports.url_of(self.settings.host, self.settings.port)

    def start(self) -> None:
        """Start everything, and return when it is ready.

        Raises:
            ConfigurationError: it cannot start as it is configured. Nothing was started.
            PartFailed: a part ended before it was ready.
            StoppedEarly: somebody asked to stop.
        """
        check_exposure(self.settings.host, self.settings.api_keys)
        if self.settings.port == 0:
            self.settings = self.settings.model_copy(update={"port": ports.free_port(self.settings.host)})
        self._make_folders()
        self._lock.acquire(self.url)
        ports.check_port(self.settings.host, self.settings.port)
        check_engine(self.settings)
        if self.settings.engine == "vllm" and (why := why_only_for_tests(self.settings)):
            self._tell(Notice("warning", why))
        base_model = prepare_base_model(self.settings, self._tell, self._is_stopped)
        # Every part gets the revision that was found: the API knows it, and the worker holds its stages to it.
        self.settings = self.settings.model_copy(update={"base_model_revision": base_model.revision})
        self._migrate()
        self.parts = make_parts(self.settings, choose_engine(self.settings), base_model.folder)
        for part in self.parts:
            rotate(part.log)
            self._tell(Notice("starting", f"Starting the {part.name}", {"part": part.name}))
            part.start()
        self._wait_until_ready()
        addresses = {part.name: part.address for part in self.parts}
        self._tell(Notice("ready", f"Ready at {self.url}", {"url": self.url, "parts": addresses}))

    def watch(self) -> None:
        """Restart what dies or no longer works, ever later, until somebody asks to stop.

        Raises:
            PartFailed: a part died too often in a row.
        """
        rotated_at = time.monotonic()
        while not self._is_stopped():
            for part in self.parts:
                self._look_after(part)
            if time.monotonic() - rotated_at > _ROTATE_SECONDS:
                rotated_at = time.monotonic()
                for part in self.parts:
                    rotate(part.log)
            time.sleep(_POLL_SECONDS)

    def stop(self, is_urgent: IsStopped = lambda: False) -> None:
        """End every part, the last one first; those that do not end in time, or when it is urgent, at once."""
        running = [part for part in self.parts if part.is_running]
        if running:
            self._tell(Notice("stopping", f"Stopping {', '.join(part.name for part in reversed(running))}"))
        for part in reversed(self.parts):
            part.terminate()
            deadline = time.monotonic() + part.grace_seconds
            while part.is_running and time.monotonic() < deadline and not is_urgent():
                time.sleep(0.05)
            part.kill()
        if running:
            self._tell(Notice("stopped", "Everything has stopped"))
        self._lock.release()

    def _make_folders(self) -> None:
        try:
            self.settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
            for name in ("run", "logs"):
                (self.settings.home / name).mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(f"{self.settings.home} (INGRAIN_HOME) cannot be used: {error.strerror}.") from None

    def _migrate(self) -> None:
        try:
            upgrade(self.settings.resolved_database_url)
        except SQLAlchemyError as error:
            reason = str(getattr(error, "orig", None) or error).strip()
            raise ConfigurationError(
                f"The database cannot be used: {reason}\nCheck INGRAIN_DATABASE_URL, or INGRAIN_HOME for SQLite."
            ) from error

    def _wait_until_ready(self) -> None:
        started = told_at = time.monotonic()
        told: list[str] = []
        while reasons := self._why_not_ready():
            now = time.monotonic()
            if self._is_stopped():
                raise StoppedEarly
            for part in self.parts:
                if not part.is_running:
                    raise PartFailed(part, f"{part.how_it_ended()} before it was ready")
            if now - started > _START_SECONDS:
                part = next(part for part in self.parts if part.name in reasons)
                raise PartFailed(part, f"was not ready after {_START_SECONDS:.0f} seconds: {reasons[part.name]}")
            names = list(reasons)
            if names != told or now - told_at > _REMIND_SECONDS:
                text = f"Waiting for {', '.join(names)} ({now - started:.0f} s)"
                if now - started > _REMIND_SECONDS:
                    text += f": {self._what_is_going_on(names[0], reasons[names[0]])}"
                self._tell(Notice("waiting", text, {"parts": reasons}))
                told, told_at = names, now
            time.sleep(_POLL_SECONDS)

    def _what_is_going_on(self, name: str, reason: str) -> str:
        doing = next(part.doing() for part in self.parts if part.name == name)
        return f"{reason}{doing and f' ({doing})'}; the logs are in {self.settings.home / 'logs'}"

    def _why_not_ready(self) -> dict[str, str]:
        """The parts that do not answer, and why. The last one, which needs the others, is asked after they answer."""
        reasons = {part.name: why for part in self.parts[:-1] if (why := part.why_not_ready())}
        last = self.parts[-1]
        why = "it waits for the others" if reasons else last.why_not_ready()
        return reasons | ({last.name: why} if why else {})

    def _look_after(self, part: Part) -> None:
        now = time.monotonic()
        if part.is_running:
            if part.failures and now - part.started_at > _STEADY_SECONDS:
                part.failures = 0
            if now - part.looked_at > _LOOK_SECONDS:
                part.look()
                if part.idle_seconds > (_IDLE_SECONDS if part.has_worked else _START_SECONDS):
                    part.kill()
                    self._start_later(part, f"did not work for {part.idle_seconds:.0f} s: {part.complaint}")
        elif part.restart_at is None:
            part.kill()  # what it left behind in its session
            self._start_later(part, part.how_it_ended())
        elif now >= part.restart_at:
            self._tell(Notice("restarting", f"Starting the {part.name} again", {"part": part.name}))
            part.start()

    def _start_later(self, part: Part, what: str) -> None:
        part.failures += 1
        if part.failures > _MOST_FAILURES:
            raise PartFailed(part, f"{what}, {part.failures} times in a row")
        pause = min(_LONGEST_BACKOFF_SECONDS, 2.0 ** (part.failures - 1))
        part.restart_at = time.monotonic() + pause
        text = f"The {part.name} {what}; it starts again in {pause:.0f} s. Its log is {part.log}."
        self._tell(Notice("died", text, {"part": part.name, "log": str(part.log)}))
