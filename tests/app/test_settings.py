"""Settings from the environment, and what is said where they are not valid."""

import subprocess
import sys

import pytest
from pydantic import ValidationError

from app.interpreter import module_command
from app.settings import Settings


def test_a_log_level_is_known_in_either_case(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INGRAIN_LOG_LEVEL", "debug")
    assert Settings().log_level == "DEBUG"
    monkeypatch.setenv("INGRAIN_LOG_LEVEL", "loud")
    with pytest.raises(ValidationError, match="WARNING"):
        Settings()


@pytest.mark.parametrize("command", ["models", "up", "worker", "api"])
def test_a_value_that_is_not_valid_is_named(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INGRAIN_LOG_LEVEL", "loud")
    done = subprocess.run(module_command("app.cli", command), capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "INGRAIN_LOG_LEVEL" in done.stderr
    assert "Traceback" not in done.stderr


def test_engines_are_named_by_their_base_urls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INGRAIN_VLLM_URLS", "http://one:8000/v1/, https://two/vllm,http://one:8000")
    assert Settings().engine_urls == ("http://one:8000", "https://two/vllm")
    for wrong in ("one:8000", "notaurl", "ftp://one", "http://"):
        monkeypatch.setenv("INGRAIN_VLLM_URLS", wrong)
        with pytest.raises(ValidationError, match="write http://host:port"):
            Settings()


def test_embeddings_need_their_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INGRAIN_RETRIEVAL", "hybrid")
    assert Settings().retrieval == "hybrid"
    monkeypatch.setitem(sys.modules, "wordllama", None)  # as Python has it where a package is not installed
    with pytest.raises(ValidationError, match=r"pip install -e '\.\[embeddings\]' .*, or set it to bm25"):
        Settings()
    monkeypatch.setenv("INGRAIN_RETRIEVAL", "bm25")
    assert Settings().retrieval == "bm25"
