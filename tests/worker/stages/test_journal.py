from pathlib import Path

import pytest

from worker.pairs.writer import Completion
from worker.stages.journal import Journal

WHO = {"model": "tiny", "prompt": "Who?", "n": 2}
WHY = {"model": "tiny", "prompt": "Why?", "n": 1}
ADA = [Completion("Ada, “a\ud800”", "stop"), Completion("Ida\n", "length")]
IDA = [Completion("Ida", "stop", -0.25)]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "scratch" / "answers.jsonl"


def test_a_later_run_takes_each_answer_once_and_this_run_none(file: Path) -> None:
    with Journal(file) as journal:
        for answer in (ADA, IDA):
            assert journal.take(WHO) is None
            journal.keep(WHO, answer)
    with Journal(file) as again:
        assert again.take(WHY) is None
        assert again.take({"n": 2, "prompt": "Who?", "model": "another"}) is None
        assert [again.take(dict(reversed(WHO.items()))) for _ in range(3)] == [ADA, IDA, None]


def test_what_is_written_outlives_a_kill(file: Path) -> None:
    journal = Journal(file)
    journal.keep(WHO, ADA)
    with Journal(file) as again:  # the first was never closed
        assert again.take(WHO) == ADA


@pytest.mark.parametrize("torn", [b'{"request": "ab', b'{"request": "\xe2', b"\0\0\0\0"])
def test_a_torn_last_line_is_dropped_and_the_next_stands_by_itself(file: Path, torn: bytes) -> None:
    with Journal(file) as journal:
        journal.keep(WHO, ADA)
    whole = file.read_bytes()
    file.write_bytes(whole + torn)
    with Journal(file) as again:
        assert file.read_bytes() == whole
        again.keep(WHY, IDA)
    with Journal(file) as last:
        assert (last.take(WHO), last.take(WHY)) == (ADA, IDA)


def test_a_last_line_that_lacks_only_its_end_is_torn_too(file: Path) -> None:
    with Journal(file) as journal:
        journal.keep(WHO, ADA)
    file.write_bytes(file.read_bytes().rstrip(b"\n"))
    with Journal(file) as again:
        assert again.take(WHO) is None
        again.keep(WHY, IDA)
    with Journal(file) as last:
        assert last.take(WHY) == IDA
