"""What `ingrain ask` shows of the passages that an answer was given with."""

import pytest

from app.commands.ask import _show_passages


def test_passages_of_replaced_documents_are_told_apart(capsys: pytest.CaptureFixture[str]) -> None:
    passage = {"document_id": "doc_1", "title": "Port", "heading": "Baker", "text": "He sells rye.", "score": 1.5}
    _show_passages({"retrieval": {"passages": [passage | {"stale": True}, passage | {"stale": False}]}})
    assert capsys.readouterr().err.splitlines()[-2:] == [
        "- 1.50  doc_1  Port (Baker) (replaced): He sells rye.",
        "- 1.50  doc_1  Port (Baker): He sells rye.",
    ]
