"""What requests cost by one pool and by small ones: both are measured on a real server and told."""

import subprocess
import sys


def test_both_ways_are_told_for_each_number_at_once() -> None:
    command = [
        "-m",
        "benchmarks.connections",
        "--at-once",
        "2",
        "9",
        "--requests",
        "2",
        "--seconds",
        "0.05",
        "--rounds",
        "1",
    ]
    ended = subprocess.run([sys.executable, *command], capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
    rows = [line.split("│")[1:5] for line in ended.stdout.splitlines() if line.startswith("│")]
    assert [(row[0].strip(), row[1].strip()) for row in rows] == [
        ("2", "one pool"),
        ("2", "small pools"),
        ("9", "one pool"),
        ("9", "small pools"),
    ]
    for *_, cost, rate in rows:
        assert 0 < float(cost) < 1000
        assert 0 < float(rate) <= 9 / 0.05
