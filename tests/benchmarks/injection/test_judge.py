"""The judge against a real HTTP server that grades by a rule."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from app.errors import ConfigurationError
from benchmarks.injection.judge import Judge, judge_all


class Grader(BaseHTTPRequestHandler):
    """Finds an answer right that is "1962", wrong otherwise, and forgets to grade "silence"."""

    asked = 0

    def do_POST(self) -> None:
        Grader.asked += 1
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer = request["messages"][0]["content"].partition("Answer to grade: ")[2].splitlines()[0]
        verdict = "CORRECT" if answer == "1962" else "INCORRECT"
        said = "Well." if answer == "silence" else f"A first guess is GRADE: INCORRECT.\nNo.\n**GRADE: {verdict}**"
        body = json.dumps({"choices": [{"message": {"content": said}}]}).encode()
        status = 200 if self.headers["Authorization"] == "Bearer secret" else 401
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
    asked = [(key, "When?", ["1962"], answer) for key, answer in [("a", "1962"), ("b", "1963"), ("c", "silence")]]
    wanted = {"a": True, "b": False, "c": None}
    before = Grader.asked
    assert judge_all(judge, asked, tmp_path / "grades.json", "judging") == wanted
    assert judge_all(judge, asked, tmp_path / "grades.json", "judging") == wanted
    assert Grader.asked == before + 3


def test_a_judge_that_cannot_be_asked_is_named(url: str) -> None:
    with pytest.raises(ConfigurationError, match="401"):
        Judge(url, "grader", "wrong").grade("When?", ["1962"], "1962")
