import json
from pathlib import Path
from typing import Any

import pytest

from app.errors import ConfigurationError
from benchmarks.injection import data
from benchmarks.injection.data import read_items
from benchmarks.injection.grading import grade

LINE: dict[str, Any] = {
    "title": "Hollin_Museum",
    "passage": "It was founded in 1962.",
    "questions": [{"id": "a", "question": " when was it founded? ", "answers": ["1962"]}],
}


def line(number: int) -> dict[str, Any]:
    """A line whose question has an id of its own."""
    return {**LINE, "questions": [{**LINE["questions"][0], "id": str(number)}]}


def write(folder: Path, *lines: object) -> Path:
    file = folder / "data.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


def test_the_first_passages_are_read(tmp_path: Path) -> None:
    file = write(tmp_path, line(1), {**line(2), "title": "Tarn_Mill"}, line(3))
    items = read_items(file, 2)
    assert [item.title for item in items] == ["Hollin Museum", "Tarn Mill"]
    assert items[0].questions[0].question == "when was it founded?"
    assert len({item.id for item in read_items(file, None)}) == 3


def test_a_title_of_all_passages_is_left_out(tmp_path: Path) -> None:
    assert [item.title for item in read_items(write(tmp_path, line(1), line(2)), None)] == ["", ""]
    assert read_items(write(tmp_path, LINE), None)[0].title == "Hollin Museum"


@pytest.mark.parametrize(
    "wrong", [{}, {**LINE, "passage": " "}, {**LINE, "questions": [{"id": "a"}]}, {**LINE, "questions": 3}, [1]]
)
def test_a_wrong_line_is_named(tmp_path: Path, wrong: object) -> None:
    with pytest.raises(ConfigurationError, match="line 2"):
        read_items(write(tmp_path, LINE, wrong), None)


def test_what_cannot_be_graded_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no question"):
        read_items(write(tmp_path, {**LINE, "questions": []}), None)
    with pytest.raises(ConfigurationError, match="several questions with the id 'a'"):
        read_items(write(tmp_path, LINE, LINE), None)


def test_a_line_ends_at_a_line_feed_alone(tmp_path: Path) -> None:
    file = tmp_path / "data.jsonl"
    file.write_text(json.dumps({**LINE, "passage": "Founded\u2028in 1962."}, ensure_ascii=False) + "\n")
    assert read_items(file, None)[0].passage == "Founded\u2028in 1962."


def test_too_few_passages_are_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="has 1 passages, fewer than the 5"):
        read_items(write(tmp_path, LINE), 5)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_items(tmp_path / "missing.jsonl", None)


def test_the_answers_of_our_own_data_stand_in_their_passages() -> None:
    items = read_items(Path(data.__file__).parent.parent / "data" / "invented.jsonl", None)
    assert len(items) == 14
    asked = [(item, each) for item in items for each in item.questions]
    assert len(asked) == 36
    for item, each in asked:
        assert grade(item.passage, each.answers).holds, each.question
        assert not grade(each.question, each.answers).holds, each.question
