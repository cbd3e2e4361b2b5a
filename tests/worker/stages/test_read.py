import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from app.documents.text import make_title
from app.errors import StageError
from tests.worker.stages.conftest import MakeInputs
from worker.pairs.facts import facts_of
from worker.pairs.outline import outline_of
from worker.pairs.records import passages_from
from worker.stages import DocumentText, read

TEXT = "# The Hollin Museum\n\nIt opened in 1962. A ticket costs 8 florins.\n\n## Staff\n\nThe director is Ada Pell.\n"


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_small_base_model_gets_sentences(make_inputs: MakeInputs, folder: Callable[[str], Path]) -> None:
    told: list[tuple[int, int]] = []
    out = folder("read")
    summary = read.run(make_inputs(TEXT), out, lambda done, total: told.append((done, total)))
    passages = lines(out / "passages.jsonl")
    assert summary == {"passages": 3, "words": 14}
    assert [passage["id"] for passage in passages] == ["p0001", "p0002", "p0003"]
    assert passages[2] == {
        "id": "p0003", "document_id": "doc_1", "title": "The Hollin Museum", "heading": "Staff",
        "text": "The director is Ada Pell.", "focus": "The director is Ada Pell.",
    }  # fmt: skip
    assert told == [(1, 1)]


def test_passage_words_can_be_set_and_the_title_read_from_the_text(
    make_inputs: MakeInputs, folder: Callable[[str], Path]
) -> None:
    out = folder("read")
    read.run(make_inputs(TEXT, title="", passage_words=50), out, lambda *_: None)
    passages = lines(out / "passages.jsonl")
    assert [passage["text"] for passage in passages] == [
        "It opened in 1962. A ticket costs 8 florins.", "The director is Ada Pell.",
    ]  # fmt: skip
    assert {passage["title"] for passage in passages} == {"The Hollin Museum"}


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("The Pellworth Wind Organ was built in 1974 by Ada Pell. It has 40 pipes.", "the Pellworth Wind Organ"),
        ("---\nlang: en\n---\nThe organ was built in 1974.", ""),
        ("Our firm was bought by the Acme Group in 1974. It has 40 shops.", ""),
    ],
)
def test_of_first_words_that_stand_in_for_a_title_the_name_is_taken_that_they_open_with(
    text: str, name: str, make_inputs: MakeInputs, folder: Callable[[str], Path]
) -> None:
    out = folder("read")
    read.run(make_inputs(text, title=make_title(text, None)), out, lambda *_: None)
    passages = passages_from(out / "passages.jsonl")
    outline = outline_of(passages)
    assert outline.subject.name == name
    assert "" not in outline.names
    assert "1974" in [fact.target for fact in facts_of(passages[0].focus, outline.subject.bare)]


def test_a_title_that_the_text_begins_with_is_kept(make_inputs: MakeInputs, folder: Callable[[str], Path]) -> None:
    out = folder("read")
    read.run(make_inputs("Wind Organ was built in 1974. It has 40 pipes.", title="Wind Organ"), out, lambda *_: None)
    assert {passage["title"] for passage in lines(out / "passages.jsonl")} == {"Wind Organ"}


def test_a_document_without_text_says_so(make_inputs: MakeInputs, folder: Callable[[str], Path]) -> None:
    with pytest.raises(StageError, match=r"doc_1 \(The Hollin Museum\): .*Post documents that have sentences"):
        read.run(make_inputs("# Only a heading\n"), folder("read"), lambda *_: None)


def test_one_document_of_several_without_text_is_named(make_inputs: MakeInputs, folder: Callable[[str], Path]) -> None:
    inputs = make_inputs(TEXT)
    several = replace(inputs, documents=(*inputs.documents, DocumentText("doc_2", "", "# Staff\n\n## Hours\n")))
    with pytest.raises(StageError, match=r"found in doc_2 \(Staff\): "):
        read.run(several, folder("read"), lambda *_: None)
