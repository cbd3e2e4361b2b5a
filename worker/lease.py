"""Keeping a lease: the thread that renews it, and the writes that need it.

Losing a lease is normal (a machine slept, the database was away); what matters is that the worker notices, stops the
stage and writes nothing more. The fencing token makes sure of the last.
"""

import threading
import time
from collections.abc import Callable
from typing import Final, TypeVar

from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from app.database import unit_of_work
from app.jobs import leases
from app.jobs.leases import Lease, LeaseLost
from worker.logs import job_log

_LOOK_SECONDS: Final = 0.5  # how often it looks for a request to cancel
_RETRY_SECONDS: Final = 0.5
_Result = TypeVar("_Result")


class Keeper:
    """Holds a lease while its job is worked on: renews it from a thread, and makes the writes that need it.

    Attributes:
        lost: set when the lease is no longer ours, or could not be renewed for as long as it holds.
        cancel_requested: set when someone asked to cancel the job.
    """

    def __init__(self, lease: Lease, *, seconds: float, heartbeat_seconds: float) -> None:
        self.lease = lease
        self.lost = threading.Event()
        self.cancel_requested = threading.Event()
        self._seconds = seconds
        self._heartbeat_seconds = min(heartbeat_seconds, seconds / 3)
        self._holds_until = time.monotonic() + seconds
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"lease-{lease.job_id}", daemon=True)
        self._log = job_log(__name__, lease.job_id)

    def __enter__(self) -> "Keeper":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    def write(self, change: Callable[[Session, Lease], _Result]) -> _Result:
        """Make a change under the lease, in a transaction of its own; try again while the database is away.

        Raises:
            LeaseLost: the lease is no longer ours, or ran out while the database was away.
        """
        while True:
            if self.lost.is_set():
                raise LeaseLost(self.lease.job_id)
            try:
                with unit_of_work() as session:
                    return change(session, self.lease)
            except LeaseLost:
                self.lost.set()
                raise
            except (OperationalError, InterfaceError, PoolTimeout) as error:
                self._log.warning("The database does not answer, trying again: %s", _reason(error))
                self.lost.wait(_RETRY_SECONDS)

    def _run(self) -> None:
        renew_at = time.monotonic() + self._heartbeat_seconds
        while not self._stopping.wait(_LOOK_SECONDS) and not self.lost.is_set():
            asked_at = time.monotonic()
            try:
                with unit_of_work() as session:
                    if asked_at >= renew_at:
                        asked = leases.renew(session, self.lease, self._seconds)
                    else:
                        asked = leases.cancel_requested(session, self.lease)
            except LeaseLost:
                self.lost.set()  # also after our own last write, when nobody asks any more
            except SQLAlchemyError as error:  # any of them: a thread that ends here would tell nobody
                self._log.warning("The lease could not be looked at, trying again: %s", _reason(error))
                if time.monotonic() > self._holds_until:
                    self._log.warning("The lease could not be renewed for %.0f s; giving up the job.", self._seconds)
                    self.lost.set()
            else:
                if asked_at >= renew_at:
                    self._holds_until = asked_at + self._seconds
                    renew_at = asked_at + self._heartbeat_seconds
                if asked:
                    self.cancel_requested.set()


def _reason(error: SQLAlchemyError) -> str:
    """The error without the statement and the link that SQLAlchemy puts under it."""
    return str(error).partition("\n")[0]
