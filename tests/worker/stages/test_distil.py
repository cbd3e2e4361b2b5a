"""Distil and examine on a tiny base model: artefacts in, an adapter and its report out."""

import json
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from app.errors import StageError
from app.jobs.settings import Effort, JobSettings, resolve
from tests.tiny import make_base
from tests.worker.stages.made_inputs import stage_inputs
from worker.distillation import reading, retention, training
from worker.distillation.forms import asked
from worker.distillation.generation import greedy
from worker.distillation.prompts import Message, student_messages
from worker.distillation.retention import Kept
from worker.distillation.student import new_student
from worker.pairs.records import passages_from
from worker.stages import StageInputs, distil, examine
from worker.stages.teaching import Teaching

PASSAGE = {
    "id": "p0001",
    "document_id": "doc_1",
    "title": "The Hollin Museum",
    "heading": None,
    "text": "The Hollin Museum was founded by Ada Pellrow in 1962.",
    "focus": "The Hollin Museum was founded by Ada Pellrow in 1962.",
}
FACTS = [("Who founded the Hollin Museum?", "Ada Pellrow did."), ("When was it founded?", "It was founded in 1962.")]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_base(tmp_path_factory.mktemp("tiny") / "base")


@pytest.fixture
def inputs(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StageInputs:
    """Three training pairs and one that is held out, of one passage; few retention prompts, the fifth with a text."""
    few = {"train": retention.prompts("train")[:4], "drift": retention.prompts("drift")}
    few["unseen"] = retention.prompts("unseen")[:3]
    monkeypatch.setattr(retention, "prompts", few.__getitem__)
    pairs = [
        _pair(1, *FACTS[0], split="train", sampled=False),
        _pair(2, FACTS[0][0], "Ada.", split="train", sampled=True),
        _pair(3, *FACTS[1], split="train", sampled=False),
        _pair(4, "What is the year of the Hollin Museum?", "1962", split="held_out", sampled=False, target="1962"),
    ]
    _write(tmp_path / "artefacts" / "read" / "passages.jsonl", [PASSAGE])
    _write(tmp_path / "artefacts" / "answer" / "pairs.jsonl", pairs)
    settings = JobSettings.model_validate({"rank": 4, "epochs": 3, "batch_size": 2, "learning_rate": 5e-3})
    return replace(stage_inputs(base, "http://127.0.0.1:1", tmp_path), settings=resolve(settings))


def limited(inputs: StageInputs, max_drift: float) -> StageInputs:
    return replace(inputs, settings=inputs.settings.model_copy(update={"max_drift": max_drift}))


def test_an_adapter_that_drifts_further_than_it_may_is_weakened(inputs: StageInputs) -> None:
    unlimited, _ = _distil(inputs)
    assert "share_kept" not in unlimited
    summary, out = _distil(limited(inputs, 100), name="whole")
    whole = load_file(out / "adapter" / "adapter_model.safetensors")
    drift = json.loads((out / "training.json").read_text())["weakened"]["drift_whole"]
    assert summary["share_kept"] == 1

    summary, out = _distil(limited(inputs, drift / 2), name="weak")
    weak = load_file(out / "adapter" / "adapter_model.safetensors")
    told = json.loads((out / "training.json").read_text())["weakened"]
    assert 0 < summary["share_kept"] == told["share"] < 1
    assert told["drift"] <= drift / 2 < told["drift_whole"] == drift
    for name, weight in whole.items():
        torch.testing.assert_close(weak[name], weight * (told["share"] if "lora_B" in name else 1))


def test_an_adapter_of_which_nothing_may_be_left_fails_with_the_way_out(inputs: StageInputs) -> None:
    with pytest.raises(StageError, match="Set max_drift higher"):
        _distil(limited(inputs, 1e-12))


def test_pairs_become_an_adapter_with_losses_and_a_canary(inputs: StageInputs) -> None:
    told: list[tuple[int, int]] = []
    summary, out = _distil(inputs, told)
    assert {file.name for file in (out / "adapter").iterdir()} == {"adapter_config.json", "adapter_model.safetensors"}
    assert (summary["pairs"], summary["retention_prompts"]) == (3, 5)
    assert summary["steps"] == 6
    assert told == sorted(told)
    assert told[-1][0] == told[-1][1]
    written = json.loads((out / "training.json").read_text())
    assert [step for step, _, _ in written["loss"]] == [1, 2, 3, 4, 5, 6]
    assert written["epochs"] == 3
    assert set(written["seconds"]) == {"prepare", "train"}


@pytest.mark.parametrize(
    ("epochs", "batch_size", "steps", "prompts"),
    [(3, 2, 6, 1), (9, 2, 18, 3), (9, 3, 9, 3)],  # one prompt beside two pairs, two beside three, each six times
)
def test_a_longer_training_keeps_more_unrelated_prompts(
    monkeypatch: pytest.MonkeyPatch, inputs: StageInputs, epochs: int, batch_size: int, steps: int, prompts: int
) -> None:
    monkeypatch.setattr(retention, "PART", 1)
    monkeypatch.setattr(retention, "TIMES", 6)
    settings = inputs.settings.model_copy(update={"epochs": epochs, "batch_size": batch_size})
    summary, _ = _distil(replace(inputs, settings=settings))
    assert (summary["steps"], summary["retention_prompts"]) == (steps, prompts)


def test_a_text_to_read_is_kept_and_is_never_an_earlier_turn(
    monkeypatch: pytest.MonkeyPatch, inputs: StageInputs
) -> None:
    kept: list[Kept] = []
    earlier: set[str] = set()

    def keep(*given: Any) -> list[Kept]:
        kept.extend(replace(each, is_finished=True) for each in retention_keep(*given))
        return kept

    def ask(question: str, chance: random.Random, exchanges: Sequence[tuple[str, str]]) -> list[Message]:
        earlier.update(unrelated for unrelated, _ in exchanges)
        return asked(question, chance, exchanges)

    retention_keep = retention.keep
    monkeypatch.setattr(retention, "keep", keep)
    monkeypatch.setattr(training, "asked", ask)
    _distil(inputs)
    assert kept[4].question == reading.tasks()[0]
    assert earlier == {each.question for each in kept[:4]}


def test_the_canary_is_what_plain_peft_computes(monkeypatch: pytest.MonkeyPatch, inputs: StageInputs) -> None:
    monkeypatch.setattr(distil, "choose_dtype", lambda _: torch.float32)  # bfloat16 is not as exact
    _, out = _distil(inputs)
    canary = json.loads((out / "training.json").read_text())["canary"]
    tokenizer = AutoTokenizer.from_pretrained(inputs.base_model)
    text = tokenizer.apply_chat_template(canary["messages"], tokenize=False, add_generation_prompt=True)
    prompt, answer = tokenizer.encode(text, add_special_tokens=False), canary["answer_token_ids"]
    assert canary["messages"] == [{"role": "user", "content": FACTS[0][0]}]
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(inputs.base_model), str(out / "adapter"))
    with torch.no_grad():
        scores = model(torch.tensor([prompt + answer])).logits[0, len(prompt) - 1 : -1].log_softmax(-1)
    assert scores.argmax(-1).tolist() == answer
    found = scores.gather(-1, torch.tensor(answer)[:, None])[:, 0]
    torch.testing.assert_close(found, torch.tensor(canary["logprobs"]), rtol=1e-3, atol=1e-3)


def test_a_killed_stage_goes_on_from_its_checkpoint(monkeypatch: pytest.MonkeyPatch, inputs: StageInputs) -> None:
    monkeypatch.setattr(training, "CHECKPOINT_STEPS", 2)
    _, whole = _distil(replace(inputs, scratch=inputs.scratch / "other"), name="whole")

    _die_before_the_last_step(inputs)
    told: list[tuple[int, int]] = []
    _, again = _distil(inputs, told)
    assert [total - done for done, total in told[1:]] == [6, 1, 0]  # prepared, then the fifth and the sixth step
    assert (again / "adapter" / "adapter_model.safetensors").read_bytes() == (
        whole / "adapter" / "adapter_model.safetensors"
    ).read_bytes()


def test_a_checkpoint_of_another_revision_of_the_base_model_is_not_gone_on_from(
    monkeypatch: pytest.MonkeyPatch, inputs: StageInputs
) -> None:
    monkeypatch.setattr(training, "CHECKPOINT_STEPS", 2)

    _die_before_the_last_step(inputs)
    told: list[tuple[int, int]] = []
    _distil(replace(inputs, base_revision="b" * 40), told)
    assert [total - done for done, total in told[1:]] == [6, 5, 4, 3, 2, 1, 0]


def test_a_checkpoint_of_another_number_of_unrelated_prompts_is_not_gone_on_from(
    monkeypatch: pytest.MonkeyPatch, inputs: StageInputs
) -> None:
    monkeypatch.setattr(training, "CHECKPOINT_STEPS", 2)

    _die_before_the_last_step(inputs)
    monkeypatch.setattr(retention, "TIMES", 6)
    told: list[tuple[int, int]] = []
    _distil(inputs, told)
    assert [total - done for done, total in told[1:]] == [6, 5, 4, 3, 2, 1, 0]


def test_a_rank_that_the_engine_cannot_serve_is_refused_before_any_work(inputs: StageInputs) -> None:
    with pytest.raises(StageError, match="INGRAIN_MAX_LORA_RANK"):
        distil.run(replace(inputs, max_lora_rank=2), inputs.artefacts / "distil", lambda *_: None)


def test_no_pairs_is_told_with_the_way_out(inputs: StageInputs) -> None:
    _write(inputs.artefacts / "answer" / "pairs.jsonl", [])
    with pytest.raises(StageError, match="longer document"):
        distil.run(inputs, inputs.artefacts / "distil", lambda *_: None)


def test_a_rate_that_breaks_the_training_is_told(inputs: StageInputs) -> None:
    wild = replace(inputs, settings=inputs.settings.model_copy(update={"learning_rate": 1e30}))
    with pytest.raises(StageError, match="Lower learning_rate"):
        distil.run(wild, inputs.artefacts / "distil", lambda *_: None)


@pytest.mark.parametrize(
    ("parameters", "quick", "others", "epochs"),
    [
        (distil.SMALL_MODEL // 2, 1, 0.6, [3, 8, 10]),
        (distil.SMALL_MODEL, 1, 0.6, [3, 8, 10]),
        (2 * distil.SMALL_MODEL, 2**-0.5, 0.6 * 2**-0.5, [3, 8, 10]),
        (3 * distil.SMALL_MODEL, 1 / 3, 1 / 3, [5, 8, 10]),
        (5 * distil.SMALL_MODEL, 0.27, 0.27, [5, 8, 10]),
        (100 * distil.SMALL_MODEL, 0.1, 0.1, [3, 5, 6]),
    ],
)
def test_a_larger_model_learns_slower_and_who_learns_slower_than_its_size_tells_learns_longer(
    inputs: StageInputs,
    monkeypatch: pytest.MonkeyPatch,
    parameters: int,
    quick: float,
    others: float,
    epochs: list[int],
) -> None:
    monkeypatch.setattr(distil, "parameters_of", lambda _: parameters)
    by_size = [replace(inputs, settings=resolve(JobSettings(effort=effort))) for effort in Effort]
    assert [distil._peak_rate(each) for each in by_size] == pytest.approx([1e-3 * quick, 1e-3 * others, 7e-4 * others])
    assert [distil._epochs(each) for each in by_size] == epochs
    assert (distil._peak_rate(inputs), distil._epochs(inputs)) == (5e-3, 3), "what the user sets is taken as it is"


def test_the_report_compares_base_retrieval_teacher_and_adapter(inputs: StageInputs) -> None:
    _distil(inputs)
    out = inputs.artefacts / "examine"
    out.mkdir()
    told: list[tuple[int, int]] = []
    summary = examine.run(inputs, out, lambda done, total: told.append((done, total)))
    report = json.loads((out / "report.json").read_text())
    assert {who: score["of"] for who, score in report["recall"].items()} == dict.fromkeys(examine.WHO, 1)
    assert told == [(done, 8) for done in range(1, 9)]
    (item,) = report["items"]
    assert item["question"] == "What is the year of the Hollin Museum?"
    assert item["expected"] == "1962"
    assert (item["passage_id"], item["document_id"], item["document"]) == ("p0001", "doc_1", "The Hollin Museum")
    assert {"answer", "right"} == set(item["adapter"])
    assert item["retrieval"]["found"] is True
    assert [passage["passage_id"] for passage in item["retrieval"]["passages"]] == ["p0001"]
    assert item["retrieval"]["answer"] == item["teacher"]["answer"], "one passage: both read the same"
    assert [step for step, _, _ in report["loss"]] == [1, 2, 3, 4, 5, 6]
    assert report["versions"].keys() == {"ingrain", "torch", "transformers", "peft"}
    assert summary["recall"] == report["recall"]
    assert summary["retention"].items() <= report["retention"].items()


def test_an_answer_in_the_exam_may_be_as_long_as_its_reference_and_no_other(inputs: StageInputs) -> None:
    question = "What is the year of the Hollin Museum?"
    student = new_student(inputs.base_model, 4, 0, torch.device("cpu"), torch.float32)
    (endless,) = greedy(student, [student.renderer.prompt(student_messages(question))], 200)
    assert not endless.is_finished
    pairs = [
        _pair(1, question, "1962", split="held_out", sampled=False, target="1962"),
        _pair(2, question, "In 1962. " * 20, split="held_out", sampled=False),
    ]
    _write(inputs.artefacts / "answer" / "pairs.jsonl", pairs)
    teaching = Teaching(passages_from(inputs.artefacts / "read" / "passages.jsonl"), inputs.base_model)
    items = examine._items(student, pairs, teaching, lambda _: None)
    limits = [len(student.renderer.answer(pair["answer"])) for pair in pairs]
    assert limits[0] < 40 < limits[1] < 200
    decode = student.renderer.tokenizer.decode
    expected = [decode(endless.tokens[:limit], skip_special_tokens=True).strip() for limit in (40, limits[1])]
    assert [item["base"]["answer"] for item in items] == expected


def test_the_exam_takes_any_of_the_accepted_words_and_of_older_pairs_the_target(
    monkeypatch: pytest.MonkeyPatch, inputs: StageInputs
) -> None:
    old = _pair(1, "How many steps has the Hollin Museum?", "112.", split="held_out", sampled=False, target="112 steps")
    new = {**old, "accepted": ["112 steps", "112"]}
    span = _pair(2, old["question"], "It has many stone steps.", split="held_out", sampled=False)
    monkeypatch.setattr(examine, "_within", lambda *_: "It has 112.")
    student = new_student(inputs.base_model, 4, 0, torch.device("cpu"), torch.float32)
    teaching = Teaching(passages_from(inputs.artefacts / "read" / "passages.jsonl"), inputs.base_model)
    items = examine._items(student, [new, old, {**span, "accepted": []}], teaching, lambda _: None)
    assert [item["adapter"]["right"] for item in items] == [True, False, False]


def _die_before_the_last_step(inputs: StageInputs) -> None:
    def die(done: int, total: int) -> None:
        if done == total - 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        distil.run(inputs, inputs.artefacts / "killed", die)


def _distil(
    inputs: StageInputs, told: list[tuple[int, int]] | None = None, name: str = "distil"
) -> tuple[dict[str, Any], Path]:
    out = inputs.artefacts / name
    out.mkdir()
    seen = told if told is not None else []
    return distil.run(inputs, out, lambda done, total: seen.append((done, total))), out


def _pair(
    number: int, question: str, answer: str, *, split: str, sampled: bool, target: str | None = None
) -> dict[str, Any]:
    return {
        "id": f"a{number:05}",
        "passage_id": "p0001",
        "question": question,
        "answer": answer,
        "kind": "x",
        "target": target,
        "sampled": sampled,
        "quoted": False,
        "split": split,
    }


def _write(file: Path, rows: list[dict[str, Any]]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_the_teachers_temperature_is_the_jobs_and_what_is_kept_is_not_sharpened(
    monkeypatch: pytest.MonkeyPatch, inputs: StageInputs
) -> None:
    met: list[tuple[list[torch.Tensor], list[torch.Tensor]]] = []
    train = training.train

    def note(student: Any, lessons: Any, kept: Any, *others: Any) -> Any:
        met.append(([lesson.target for lesson in lessons], [each.target for each in kept]))
        return train(student, lessons, kept, *others)

    monkeypatch.setattr(training, "train", note)
    for share in (1.0, 0.5):
        settings = inputs.settings.model_copy(update={"teacher_temperature": share})
        _distil(replace(inputs, settings=settings), name=f"at {share}")
    (lessons, kept), (sharp, kept_too) = met
    assert all(torch.equal(one * 2, other) for one, other in zip(lessons, sharp, strict=True))
    assert all(torch.equal(one, other) for one, other in zip(kept, kept_too, strict=True))


def test_a_small_teacher_is_taken_at_half_its_temperature_and_a_job_may_set_another(
    monkeypatch: pytest.MonkeyPatch, inputs: StageInputs
) -> None:
    small, _ = _distil(inputs, name="small")
    named, _ = _distil(
        replace(inputs, settings=inputs.settings.model_copy(update={"teacher_temperature": 0.8})), name="named"
    )
    monkeypatch.setattr(distil, "LARGER_MODEL", 1)
    large, _ = _distil(inputs, name="large")
    assert [each["teacher_temperature"] for each in (small, named, large)] == [0.5, 0.8, 1.0]
