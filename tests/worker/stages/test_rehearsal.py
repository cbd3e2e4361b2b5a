"""A child's stages on a tiny base model: what it rehearses, where it starts from, and what its report tells."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from app.jobs.settings import JobSettings, resolve
from tests.tiny import make_adapter, make_base
from tests.worker.stages.made_inputs import stage_inputs
from worker.distillation import retention, training
from worker.pairs.answering import Pair
from worker.pairs.facts import Fact, Kind
from worker.pairs.held_out import most_held_out
from worker.pairs.records import read_lines, write_lines
from worker.pairs.writing import Question
from worker.stages import Parent, StageInputs, distil, examine, old_knowledge, rehearsal
from worker.stages.teaching import Teaching

MUSEUM, HARBOUR, LAMP = "The Hollin Museum", "The harbour of Velm", "The Corrin Lamp"
WEIGHTS = "adapter_model.safetensors"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_base(tmp_path_factory.mktemp("tiny") / "base")


@pytest.fixture
def parent(base: Path, tmp_path: Path) -> Parent:
    """An adapter that learnt of the museum and the harbour, both in passages of its own, with a report."""
    artefacts = tmp_path / "parent"
    _write(artefacts, "read/passages", [_passage("p1", "doc_1", MUSEUM), _passage("p2", "doc_2", HARBOUR)])
    pairs = [
        *(_pair(f"a{n}", "p1", f"What is the {n}. of {MUSEUM}?") for n in range(1, 4)),
        _pair("a4", "p1", f"What is held out of {MUSEUM}?", split="held_out"),
        _pair("a5", "p2", f"What is the first of {HARBOUR}?"),
        _pair("a6", "p2", f"What is held out of {HARBOUR}?", split="held_out"),
    ]
    _write(artefacts, "answer/pairs", pairs)
    items = [
        {
            "passage_id": pair["passage_id"],
            "question": pair["question"],
            "adapter": {"answer": "a word", "right": pair["id"] == "a4"},
        }
        for pair in pairs
        if pair["split"] == "held_out"
    ]
    (artefacts / "examine").mkdir()
    (artefacts / "examine" / "report.json").write_text(json.dumps({"items": items}))
    make_adapter(base, artefacts / "adapter", rank=4)
    return Parent("adp_old", ("doc_1", "doc_2"), (), artefacts)


@pytest.fixture
def inputs(base: Path, parent: Parent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StageInputs:
    """A child that learns of the lamp, from two pairs."""
    few = {"train": retention.prompts("train")[:3], "drift": retention.prompts("drift")}
    monkeypatch.setattr(retention, "prompts", few.__getitem__)
    artefacts = tmp_path / "artefacts"
    _write(artefacts, "read/passages", [_passage("p1", "doc_3", LAMP)])
    _write(artefacts, "ask/questions", [])
    own = [_pair(f"a{n}", "p1", f"What is the {n}. of {LAMP}?") for n in (1, 2)]
    _write(artefacts, "answer/pairs", [*own, _pair("a3", "p1", f"What is held out of {LAMP}?", split="held_out")])
    chosen = {"rank": 4, "epochs": 2, "batch_size": 2, "learning_rate": 1e-9, "rehearsal": 0.5}
    settings = resolve(JobSettings.model_validate(chosen))
    return replace(stage_inputs(base, "http://127.0.0.1:1", tmp_path), settings=settings, parent=parent)


def test_all_pairs_of_the_parent_are_recorded_under_names_of_their_own(inputs: StageInputs, tmp_path: Path) -> None:
    assert rehearsal.record(inputs, tmp_path) == 6
    pairs, passages = (list(read_lines(tmp_path / name)) for name in (rehearsal.PAIRS, rehearsal.PASSAGES))
    assert [pair["id"] for pair in pairs] == [f"adp_old/a{n}" for n in range(1, 7)]
    assert {pair["rehearsed_from"] for pair in pairs} == {"adp_old"}
    assert {pair["passage_id"] for pair in pairs} == {passage["id"] for passage in passages}
    assert [(passage["id"], passage["document_id"]) for passage in passages] == [
        ("adp_old/p1", "doc_1"),
        ("adp_old/p2", "doc_2"),
    ]


def test_what_the_parent_rehearsed_itself_comes_along_as_it_is(inputs: StageInputs, tmp_path: Path) -> None:
    rehearsal.record(inputs, inputs.artefacts / "answer")
    as_parent = Parent("adp_child", ("doc_2", "doc_3"), ("doc_1",), inputs.artefacts)
    assert rehearsal.record(replace(inputs, parent=as_parent), tmp_path) == 5
    pairs = list(read_lines(tmp_path / rehearsal.PAIRS))
    assert [pair["id"] for pair in pairs] == [
        "adp_child/a1",
        "adp_child/a2",
        "adp_child/a3",
        "adp_old/a5",
        "adp_old/a6",
    ]
    assert {pair["passage_id"] for pair in pairs} == {"adp_child/p1", "adp_old/p2"}


def test_nothing_is_trained_on_that_the_exam_of_the_other_asks(inputs: StageInputs, tmp_path: Path) -> None:
    def own(text: str) -> Pair:
        person = Fact(Kind.PERSON, "Ada Pellrow", "Ada Pellrow", "It was made by ", ".")
        return Pair(Question("p1", text, "person", person), "Ada Pellrow did.", sampled=False)

    near, other = own(f"What is held out of {MUSEUM} ?"), own(f"Who made {LAMP}?")
    dropped: Counter[str] = Counter()
    assert rehearsal.without_old_exam(inputs, [near, other], dropped) == [other]
    assert dropped == {rehearsal.IN_OLD_EXAM: 1}
    assert rehearsal.record(inputs, tmp_path, [own(f"What is the 2. of {MUSEUM}?")]) == 5
    assert "adp_old/a2" not in {pair["id"] for pair in read_lines(tmp_path / rehearsal.PAIRS)}


def test_without_a_parent_nothing_is_recorded(inputs: StageInputs, tmp_path: Path) -> None:
    alone = replace(inputs, parent=None)
    assert rehearsal.record(alone, tmp_path) == 0
    assert not (tmp_path / rehearsal.PAIRS).exists()
    assert rehearsal.old_pairs(alone) == []
    assert [passage.id for passage in rehearsal.all_passages(alone)] == ["p1"]


def test_a_child_starts_from_the_parents_weights_and_rehearses_a_share(
    inputs: StageInputs, parent: Parent, monkeypatch: pytest.MonkeyPatch
) -> None:
    taught = _watch(monkeypatch)
    summary, out = _distil(inputs)
    assert (summary["pairs"], summary["rehearsed"], summary["started_from"]) == (2, 2, "adp_old")
    assert summary["steps"] == 4, "two epochs of two new pairs and one old one, two a step"
    assert taught[:2] == [f"What is the {n}. of {LAMP}?" for n in (1, 2)]
    assert all(MUSEUM in question or HARBOUR in question for question in taught[2:])
    assert not any("held out" in question for question in taught)
    start, end = (load_file(file / WEIGHTS) for file in (parent.artefacts / "adapter", out / "adapter"))
    assert start.keys() == end.keys()
    for name, weight in end.items():  # at a learning rate of next to nothing it ends where it began
        torch.testing.assert_close(weight, start[name], atol=1e-6, rtol=0)


def test_a_child_of_what_was_replaced_starts_from_zero_and_never_sees_it(
    inputs: StageInputs, parent: Parent, monkeypatch: pytest.MonkeyPatch
) -> None:
    taught = _watch(monkeypatch)
    summary, out = _distil(replace(inputs, parent=replace(parent, documents=("doc_1",), left_out=("doc_2",))))
    assert (summary["rehearsed"], summary["started_from"]) == (3, None)
    assert summary["steps"] == 6, "two epochs of two new pairs and all three old ones, two a step"
    assert [question for question in taught if MUSEUM in question] == taught[2:]
    assert not any(HARBOUR in question for question in taught)
    end = load_file(out / "adapter" / WEIGHTS)
    assert max(float(weight.abs().max()) for name, weight in end.items() if "lora_B" in name) < 1e-6


def test_weights_that_do_not_fit_are_not_started_from(inputs: StageInputs) -> None:
    summary, _ = _distil(replace(inputs, settings=inputs.settings.model_copy(update={"rank": 2})))
    assert (summary["rehearsed"], summary["started_from"]) == (4, None)


def test_the_report_tells_old_knowledge_from_new(inputs: StageInputs) -> None:
    _distil(inputs)
    out = inputs.artefacts / "examine"
    out.mkdir()
    told: list[tuple[int, int]] = []
    summary = examine.run(inputs, out, lambda done, total: told.append((done, total)))
    assert told == sorted(told)
    assert {total for _, total in told} == {told[-1][0]}
    report = json.loads((out / "report.json").read_text())
    assert [item["question"] for item in report["items"]] == [f"What is held out of {LAMP}?"]
    old = report["old"]
    assert old["adapter_id"] == "adp_old"
    assert [item["question"] for item in old["items"]] == [f"What is held out of {it}?" for it in (MUSEUM, HARBOUR)]
    assert set(old["items"][0]) == {*report["items"][0], "parent"}
    assert [item["document_id"] for item in old["items"]] == ["doc_1", "doc_2"]
    asked_of = {found["passage_id"] for item in report["items"] for found in item["retrieval"]["passages"]}
    assert asked_of == {"p1", "adp_old/p1", "adp_old/p2"}, "retrieval looks into all that the child knows"
    assert old["recall"]["parent"] == {"right": 1, "of": 2}
    assert {who: score["of"] for who, score in old["recall"].items()} == dict.fromkeys(
        ("base", "retrieval", "teacher", "adapter", "parent"), 2
    )
    assert summary["old"] == old["recall"]


def test_the_parents_answer_is_that_about_the_same_passage(tmp_path: Path) -> None:
    answers = {"p1": True, "p2": False}
    own = [{"passage_id": name, "question": "When?", "adapter": {"right": right}} for name, right in answers.items()]
    older = [{"passage_id": "adp_first/p1", "question": "When?", "adapter": {"right": True}}]
    (tmp_path / "examine").mkdir()
    (tmp_path / "examine" / "report.json").write_text(json.dumps({"items": own, "old": {"items": older}}))
    parent = Parent("adp_old", (), (), tmp_path)
    asked = [
        {"passage_id": name, "question": "When?"}
        for name in ("adp_old/p1", "adp_old/p2", "adp_first/p1", "adp_first/p2")
    ]
    told = old_knowledge.section(parent, {}, asked)
    assert [item.get("parent") for item in told["items"]] == [{"right": True}, {"right": False}, {"right": True}, None]
    assert told["recall"]["parent"] == {"right": 2, "of": 3}


def test_of_many_old_documents_each_has_its_questions_asked(inputs: StageInputs) -> None:
    """More than the exam asks of so many: most are of one document, and come first."""
    held_out = [_pair(f"b{n}", "p1", f"What is the {n}. of {LAMP}?", split="held_out") for n in range(90)]
    others = [_pair(f"c{n}", f"q{n}", f"What is the {n}. of {HARBOUR}?", split="held_out") for n in range(20)]
    _write(inputs.artefacts, "answer/pairs", held_out + others)
    passages = [_passage(f"q{n}", f"doc_{n + 10}", HARBOUR) for n in range(20)]
    _write(inputs.artefacts, "read/passages", [_passage("p1", "doc_3", LAMP), *passages])
    teaching = Teaching(rehearsal.all_passages(inputs), inputs.base_model)
    chosen = examine._held_out(inputs.artefacts / "answer" / "pairs.jsonl", teaching, seed=1)
    assert len(chosen) == most_held_out(21)
    assert [pair["id"] for pair in chosen if pair["id"].startswith("c")] == [f"c{n}" for n in range(20)]
    assert [pair["id"] for pair in chosen] == [pair["id"] for pair in held_out + others if pair in chosen]


def _watch(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The questions that the training gets, which goes on as ever."""
    taught: list[str] = []
    train = training.train

    def watched(student: Any, lessons: Sequence[training.Lesson], *rest: Any) -> training.History:
        taught.extend(lesson.question for lesson in lessons)
        return train(student, lessons, *rest)

    monkeypatch.setattr(training, "train", watched)
    return taught


def _distil(inputs: StageInputs) -> tuple[dict[str, Any], Path]:
    rehearsal.record(inputs, inputs.artefacts / "answer")
    out = inputs.artefacts / "distil"
    out.mkdir()
    return distil.run(inputs, out, lambda *_: None), out


def _passage(name: str, document_id: str, subject: str) -> dict[str, Any]:
    text = f"{subject} was made by Ada Pellrow in 1962."
    return {"id": name, "document_id": document_id, "title": subject, "heading": None, "text": text, "focus": text}


def _pair(name: str, passage_id: str, question: str, split: str = "train") -> dict[str, Any]:
    made = {"id": name, "passage_id": passage_id, "question": question, "answer": "Ada Pellrow did.", "kind": "x"}
    return {**made, "target": "Ada Pellrow", "sampled": False, "quoted": False, "split": split}


def _write(artefacts: Path, name: str, rows: list[dict[str, Any]]) -> None:
    file = artefacts / f"{name}.jsonl"
    file.parent.mkdir(parents=True, exist_ok=True)
    write_lines(file, rows)
