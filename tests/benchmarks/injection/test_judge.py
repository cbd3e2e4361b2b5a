"""The judge against a real HTTP server that grades by a rule."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from app.errors import ConfigurationError
from benchmarks.injection import judge as judge_module
from benchmarks.injection.judge import Given, Judge, judge_all


class Grader(BaseHTTPRequestHandler):
    """Finds an answer right that is "1962", wrong otherwise, forgets to grade "silence", and is busy at first."""

    asked = 0
    busy = 0

    def do_POST(self) -> None:
        Grader.asked += 1
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer = request["messages"][0]["content"].partition("Answer to grade: ")[2].splitlines()[0]
        verdict = "CORRECT" if answer == "1962" else "INCORRECT"
        said = "Well." if answer == "silence" else f"A first guess is GRADE: INCORRECT.\nNo.\n**GRADE: {verdict}**"
        body = json.dumps({"choices": [{"message": {"content": said}}]}).encode()
        status = 200 if self.headers["Authorization"] == "Bearer secret" else 401
        if Grader.busy:
            Grader.busy, status = Grader.busy - 1, 429
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Grader)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()


def test_the_last_grade_counts_and_none_is_asked_for_twice(url: str, tmp_path: Path) -> None:
    judge = Judge(url, "grader", "secret")
    asked = [Given("When?", ("1962",), answer) for answer in ("1962", "1963", "1962")]
    before = Grader.asked
    assert judge_all(judge, asked, tmp_path / "grades.json", "judging") == [True, False, True]
    assert judge_all(judge, asked, tmp_path / "grades.json", "judging") == [True, False, True]
    assert Grader.asked == before + 2


def test_another_answer_gets_a_grade_of_its_own(url: str, tmp_path: Path) -> None:
    judge = Judge(url, "grader", "secret")
    assert judge_all(judge, [Given("When?", ("1962",), "1962")], tmp_path / "grades.json", "judging") == [True]
    assert judge_all(judge, [Given("When?", ("1962",), "1963")], tmp_path / "grades.json", "judging") == [False]


def test_a_reply_without_a_grade_is_asked_for_again_and_not_kept(url: str, tmp_path: Path) -> None:
    judge, asked = Judge(url, "grader", "secret"), [Given("When?", ("1962",), "silence")]
    before = Grader.asked
    for _ in range(2):
        assert judge_all(judge, asked, tmp_path / "grades.json", "judging") == [None]
    assert Grader.asked == before + 4


def test_a_judge_that_is_busy_is_asked_again(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judge_module, "_WAITS", (0.01, 0.01))
    Grader.busy = 2
    assert Judge(url, "grader", "secret").grade("When?", ["1962"], "1962") is True
    Grader.busy = 3
    with pytest.raises(ConfigurationError, match="429"):
        Judge(url, "grader", "secret").grade("When?", ["1962"], "1962")
    Grader.busy = 0


def test_a_judge_that_cannot_be_asked_is_named(url: str) -> None:
    with pytest.raises(ConfigurationError, match="401"):
        Judge(url, "grader", "wrong").grade("When?", ["1962"], "1962")
