"""Whether the owner of a lease is surely gone."""

import os
import subprocess

from worker.owner import owner_is_gone, process_name


def test_a_running_process_is_not_gone() -> None:
    assert not owner_is_gone(process_name(os.getpid()))


def test_a_process_that_ended_is_gone_also_when_nobody_waited_for_it() -> None:
    process = subprocess.Popen(["sleep", "60"])
    name = process_name(process.pid)
    assert name is not None
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert owner_is_gone(name)
    process.wait()
    assert owner_is_gone(name)
    assert process_name(process.pid) is None


def test_a_process_that_has_the_pid_of_the_owner_is_not_the_owner() -> None:
    machine, pid, _ = str(process_name(os.getpid())).rsplit(":", 2)
    assert owner_is_gone(f"{machine}:{pid}:1")


def test_nothing_is_known_of_another_machine_or_an_unknown_owner() -> None:
    machine, _, _ = str(process_name(os.getpid())).rsplit(":", 2)
    host, _, namespace = machine.split("/")
    assert not owner_is_gone("elsewhere/1/1:1:1")
    assert not owner_is_gone(f"{host}/another-boot/{namespace}:1:1")
    assert not owner_is_gone("nonsense")
    assert not owner_is_gone(None)
