import json
import sys
from pathlib import Path

import pytest

from benchmarks.injection import convert
from benchmarks.injection.data import read_items


def test_a_file_of_squad_becomes_lines_up_to_as_many_questions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(name: str) -> dict[str, object]:
        answers = [{"text": "1962", "answer_start": 0}, {"text": "1962", "answer_start": 0}, {"text": "in 1962"}]
        return {"id": name, "question": f"When {name}?", "answers": answers}

    paragraphs = [
        {"context": f"Passage {number}.", "qas": [asked(f"{number}a"), asked(f"{number}b")]} for number in (1, 2)
    ]
    (tmp_path / "squad.json").write_text(
        json.dumps({"data": [{"title": "Hollin_Museum", "paragraphs": paragraphs}] * 1})
    )
    out = tmp_path / "out.jsonl"
    monkeypatch.setattr(sys, "argv", ["convert", str(tmp_path / "squad.json"), str(out), "--questions", "3"])
    convert.main()
    items = read_items(out, None)
    assert [len(item.questions) for item in items] == [2, 1]
    assert items[0].questions[0].answers == ("1962", "in 1962")
