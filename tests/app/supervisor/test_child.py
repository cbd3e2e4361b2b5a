"""A command that cannot outlive its parent."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from app.supervisor.child import bound_to_this_process
from tests.installation import wait_until

# Starts a command bound to itself, tells its process id, and waits.
PARENT = """
import subprocess, sys, time
from app.supervisor.child import bound_to_this_process
child = subprocess.Popen(bound_to_this_process([sys.executable, "-c", "import time; time.sleep(60)"]))
print(child.pid, flush=True)
time.sleep(60)
"""
# The same where the kernel does not help: a watcher, in a process of its own, and the command below it.
WATCHED_PARENT = """
import subprocess, sys, time
watcher = "import os, sys; from app.supervisor.child import watch; watch(os.getppid(), sys.argv[1:])"
command = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
subprocess.Popen([sys.executable, "-c", watcher, sys.executable, "-c", command])
time.sleep(60)
"""


def is_alive(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


# The command has a child of its own, which knows nothing of any parent.
PARENT_OF_A_FAMILY = """
import subprocess, sys, time
from app.supervisor.child import bound_to_this_process
grandchild = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
child = f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {grandchild!r}]); time.sleep(60)"
subprocess.Popen(bound_to_this_process([sys.executable, "-c", child], with_family=True), start_new_session=True)
time.sleep(60)
"""


@pytest.mark.parametrize("program", [PARENT, WATCHED_PARENT, PARENT_OF_A_FAMILY])
def test_it_ends_with_its_parent(program: str) -> None:
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert parent.stdout
    child = int(parent.stdout.readline())
    time.sleep(0.5)
    assert is_alive(child)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    wait_until(lambda: not is_alive(child), "the child ends", 5)


def test_it_does_not_start_without_its_parent() -> None:
    nobody = "1" if os.getppid() != 1 else "2"
    command = [sys.executable, "-m", "app.supervisor.child", nobody, sys.executable, "-c", "print('ran')"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == ""
    assert done.returncode == -signal.SIGKILL


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_the_watcher_ends_by_the_signal_that_ended_the_command(number: signal.Signals) -> None:
    restored = "import signal; signal.signal(signal.SIGINT, signal.SIG_DFL)"
    command = [sys.executable, "-c", f"import os; {restored}; os.kill(os.getpid(), {number:d})"]
    done = subprocess.run(bound_to_this_process(command, with_family=True), start_new_session=True, check=False)
    assert done.returncode == -number


def test_the_watcher_ends_with_the_commands_status() -> None:
    command = [sys.executable, "-c", "raise SystemExit(3)"]
    done = subprocess.run(bound_to_this_process(command, with_family=True), start_new_session=True, check=False)
    assert done.returncode == 3
