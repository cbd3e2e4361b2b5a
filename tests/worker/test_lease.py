"""Keeping a lease while a real database server comes and goes."""

import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import psycopg
import pytest
from sqlalchemy.engine import make_url
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from app.database import unit_of_work
from app.jobs import leases, queries
from app.jobs.leases import Lease, LeaseLost
from tests.jobs import add_job, get_job, wait_until
from worker.lease import Keeper

LetIn = Callable[[bool], None]


@pytest.fixture
def let_in(postgres: Any, postgres_database: str) -> LetIn:
    """Shuts the database to everyone, and opens it again."""
    name = make_url(postgres_database).database

    def change(allowed: bool) -> None:
        with psycopg.connect(postgres.get_uri(), autocommit=True) as connection:
            connection.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS {allowed}'.encode())
            if not allowed:
                end = b"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
                connection.execute(end, [name])

    return change


def take(seconds: float) -> Lease:
    with unit_of_work() as session:
        lease = leases.take(session, add_job(), owner="worker", seconds=seconds, max_attempts=3)
    assert lease is not None
    return lease


def test_heartbeats_keep_a_lease_for_longer_than_it_was_given(postgres_database: str) -> None:
    lease = take(1.5)
    with Keeper(lease, seconds=1.5, heartbeat_seconds=0.5) as keeper:
        time.sleep(3)
        assert not keeper.lost.is_set()
        with unit_of_work() as session:
            assert [held.expired for held in leases.held_jobs(session)] == [False]


def test_a_write_waits_for_a_database_that_is_away_for_a_moment(let_in: LetIn) -> None:
    lease = take(20)
    with Keeper(lease, seconds=20, heartbeat_seconds=1) as keeper:
        let_in(False)
        opening = threading.Timer(1.5, let_in, [True])
        opening.start()
        keeper.write(partial(leases.start_stage, stage="ask"))
        opening.join()
    assert get_job(lease.job_id).stage == "ask"


def test_a_worker_that_cannot_renew_gives_up_when_its_lease_runs_out(let_in: LetIn) -> None:
    lease = take(2)
    with Keeper(lease, seconds=2, heartbeat_seconds=0.5) as keeper:
        let_in(False)
        with pytest.raises(LeaseLost):
            keeper.write(partial(leases.start_stage, stage="ask"))
        let_in(True)
    assert get_job(lease.job_id).stage is None


def test_a_request_to_cancel_is_seen_within_a_second(sqlite_database: str) -> None:
    lease = take(30)
    with Keeper(lease, seconds=30, heartbeat_seconds=5) as keeper:
        with unit_of_work() as session:
            queries.request_cancel(session, lease.job_id)
        wait_until(keeper.cancel_requested.is_set, "the request is seen", seconds=1)


def test_a_heartbeat_outlives_an_error_of_any_kind(sqlite_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    look, looks = leases.cancel_requested, 0

    def without_a_connection_at_first(session: Session, lease: Lease) -> bool:
        nonlocal looks
        looks += 1
        if looks == 1:
            raise PoolTimeout("no connection of the pool came free")
        return look(session, lease)

    monkeypatch.setattr(leases, "cancel_requested", without_a_connection_at_first)
    lease = take(30)
    with unit_of_work() as session:
        queries.request_cancel(session, lease.job_id)
    with Keeper(lease, seconds=30, heartbeat_seconds=10) as keeper:
        wait_until(keeper.cancel_requested.is_set, "the heartbeat goes on", seconds=3)
    assert looks > 1
