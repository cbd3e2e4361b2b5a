"""The reaper: takes jobs from workers that are gone, and wakes jobs whose message was lost, and the engine."""

import logging
import threading
from typing import Final

from app.database import unit_of_work
from app.jobs import leases, queries
from app.jobs.leases import Held, LeaseLost
from app.settings import Settings
from worker.logs import job_log
from worker.owner import owner_is_gone
from worker.runner import Runner
from worker.sleep import EngineSleep

_LOG = logging.getLogger(__name__)
_LONGEST_PAUSE_SECONDS: Final = 5.0


class Reaper:
    """A thread of each worker, which looks when it starts and every few seconds.

    - A lease that expired, or whose owner ran on this machine and runs no more: the job is queued again, or fails
      when it was started too often.
    - A queued job whose message the broker should have, seen twice while this worker has nothing to do: the broker
      lost it (it was restarted without its file, say), so the wake-up is written again.
    - An engine that sleeps while no job trains: whoever put it to sleep is gone, so it is woken.
    """

    def __init__(self, settings: Settings, runner: Runner) -> None:
        self._settings = settings
        self._runner = runner
        self._pause_seconds = min(_LONGEST_PAUSE_SECONDS, settings.lease_seconds / 3)
        self._engine_sleep = EngineSleep(settings)
        self._unclaimed: set[str] = set()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reaper", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Stop looking."""
        self._stopping.set()
        self._thread.join(timeout=10)

    def look(self) -> None:
        """Look once."""
        with unit_of_work() as session:
            held_jobs = leases.held_jobs(session)
        for held in held_jobs:
            if held.expired or owner_is_gone(held.owner):
                self._reclaim(held)
        self._wake_unclaimed()
        self._engine_sleep.wake_unless_training()

    def _run(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            try:
                self.look()
                failures = 0
            except Exception as error:  # most likely the database is away; whatever it is, the next look comes
                if failures == 0:
                    _LOG.warning("Abandoned jobs cannot be looked for, trying again: %s", error)
                _LOG.debug("The reaper met an error.", exc_info=True)
                failures += 1
            self._stopping.wait(self._pause_seconds)

    def _reclaim(self, held: Held) -> None:
        log = job_log(__name__, held.lease.job_id)
        why = "was silent for too long" if held.expired else "ended without a word"
        log.warning("taken from its worker, which %s (%s)", why, held.owner)
        try:
            with unit_of_work() as session:
                maximum = self._settings.max_attempts
                leases.reclaim(session, held.lease, reason=f"The worker {why}.", max_attempts=maximum)
        except LeaseLost:
            log.info("someone else was faster")

    def _wake_unclaimed(self) -> None:
        idle = self._runner.idle
        with unit_of_work() as session:
            unclaimed = queries.jobs_without_wakeup(session) if idle else set()
            for job_id in unclaimed & self._unclaimed:
                job_log(__name__, job_id).warning("the broker lost its message; it is sent again")
                queries.add_wakeup(session, job_id)
        self._unclaimed = unclaimed - self._unclaimed
