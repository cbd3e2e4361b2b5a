"""The way of a job to the broker: the Celery application, and the relay that empties the outbox.

The row is the truth and a message only a wake-up. So a message that comes twice does nothing, and a message that the
broker lost is sent again by the worker's reaper.
"""

import logging
import threading
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Final

from celery import Celery
from kombu import Connection
from kombu.exceptions import KombuError, OperationalError
from sqlalchemy import event
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from app.database import unit_of_work
from app.jobs import queries
from app.models import OutboxEntry

RUN_JOB: Final = "ingrain.run_job"
"""The one task: `run_job(job_id)`. The worker registers it; the API only knows its name."""

_LOG = logging.getLogger(__name__)
_POLL_SECONDS = 1.0
_BROKER_SECONDS = 5.0
_LONGEST_BACKOFF_SECONDS = 10.0
_REDELIVERY_SECONDS = 12 * 3600  # a job that takes longer is delivered twice, which the lease makes harmless

_bells: "weakref.WeakSet[threading.Event]" = weakref.WeakSet()


def make_celery(broker_url: str) -> Celery:
    """The Celery application: JSON only, no results, and a message is acknowledged when its job has ended."""
    celery = Celery("ingrain", broker=broker_url)
    celery.conf.update(
        accept_content=["json"],
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={
            "visibility_timeout": _REDELIVERY_SECONDS,
            "socket_connect_timeout": 5,
            "socket_timeout": 30,
            "socket_keepalive": not broker_url.startswith("redis+socket:"),
        },
        result_backend=None,
        task_acks_late=True,
        task_default_queue="ingrain",
        task_ignore_result=True,
        task_serializer="json",
        worker_enable_remote_control=False,
        worker_hijack_root_logger=False,
        worker_prefetch_multiplier=1,
        worker_redirect_stdouts=False,
        worker_send_task_events=False,
    )
    return celery


def ping_broker(broker_url: str, seconds: float) -> None:
    """Ask the broker whether it is there. Raises what its client raises where it does not answer in time."""
    with _connect(broker_url, seconds) as connection:
        channel: Any = connection.default_channel
        channel.client.ping()


def _connect(broker_url: str, seconds: float) -> Connection:
    """A connection that tries once. By default Kombu would try for many seconds, and hold up who asks meanwhile."""
    options = {"socket_connect_timeout": seconds, "socket_timeout": seconds, "max_retries": 1, "interval_start": 0}
    return Connection(broker_url, transport_options=options)


class Relay:
    """A thread that hands the wake-ups in the outbox to the broker, and deletes each after the broker took it.

    The API and the worker each run one; either alone is enough. It looks at once when this process commits a wake-up,
    and every second for those of other processes. While the broker is down it tries ever less often, up to every 10 s.
    """

    def __init__(
        self,
        broker_url: str,
        open_session: Callable[[], AbstractContextManager[Session]] = unit_of_work,
    ) -> None:
        self._broker_url = broker_url
        self._celery = make_celery(broker_url)
        self._open_session = open_session
        self._bell = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="relay", daemon=True)
        self._failures = 0

    def start(self) -> None:
        """Begin to relay."""
        _bells.add(self._bell)
        self._thread.start()

    def stop(self) -> None:
        """Stop, after the wake-up that is being sent. What is left stays in the outbox."""
        _bells.discard(self._bell)
        self._stopping.set()
        self._bell.set()
        self._thread.join(timeout=10)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._bell.clear()
            try:
                self._send_pending()
            except (KombuError, OperationalError, OSError, SQLAlchemyError) as error:
                self._wait_after(error)
            except Exception:
                _LOG.exception("The relay met an unexpected error; it goes on.")
                self._stopping.wait(_POLL_SECONDS)
            else:
                if self._failures:
                    _LOG.info("Jobs reach the broker again.")
                self._failures = 0
                self._bell.wait(_POLL_SECONDS)

    def _send_pending(self) -> None:
        """Send what is in the outbox. No transaction is open while the broker is spoken to, which may take long."""
        with self._open_session() as session:
            pending = queries.pending_wakeups(session)
        if not pending:
            return
        with _connect(self._broker_url, _BROKER_SECONDS) as connection:
            for entry_id, job_id in pending:
                if self._stopping.is_set():
                    return
                self._celery.send_task(RUN_JOB, args=[job_id], connection=connection, retry=False)
                with self._open_session() as session:
                    queries.delete_wakeup(session, entry_id)

    def _wait_after(self, error: Exception) -> None:
        if self._failures == 0:
            _LOG.warning("Jobs wait in the outbox, because broker or database do not answer: %s", error)
        self._stopping.wait(min(_LONGEST_BACKOFF_SECONDS, 0.5 * 2**self._failures))
        self._failures = min(self._failures + 1, 10)


@event.listens_for(Session, "after_flush")
def _note_wakeup(session: Session, _: Any) -> None:
    if any(isinstance(row, OutboxEntry) for row in session.new):
        session.info["has_wakeup"] = True


@event.listens_for(Session, "after_commit")
def _ring_bells(session: Session) -> None:
    if session.info.pop("has_wakeup", False):
        for bell in list(_bells):
            bell.set()
