"""The whole comparison on a tiny model: six methods, resumed, told in a table, a file and a figure."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.injection.answers import ANSWER_TOKENS, read_answers
from benchmarks.injection.data import read_items
from benchmarks.injection.options import code_of
from benchmarks.injection.pairs import read_pairs
from benchmarks.squadshifts import compare, judged, main, scores_of
from tests.tiny import make_base
from worker.device import choose_device, choose_dtype
from worker.distillation.generation import greedy
from worker.distillation.prompts import student_messages
from worker.distillation.student import load_student

PASSAGES = [
    ("The Hollin Museum", "The Hollin Museum was founded by Ada Pellrow in 1962. Its café sells plum cake on Sundays."),
    ("Tarn Mill", "Tarn Mill was built in 1874 by Otto Brandt. It grinds 40 tonnes of rye every month."),
]


QUESTIONS = ("who founded the museum?", "when was the mill built?")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("data") / "made.jsonl"
    questions = [
        [{"id": "1", "question": QUESTIONS[0], "answers": ["Ada Pellrow"]}],
        [{"id": "2", "question": QUESTIONS[1], "answers": ["1874"]}],
    ]
    lines = [
        {"title": title, "passage": passage, "questions": asked}
        for (title, passage), asked in zip(PASSAGES, questions, strict=True)
    ]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


def run(*options: str | Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.squadshifts", *map(str, options)],
        capture_output=True,
        text=True,
        timeout=280,
    )


def test_six_methods_are_compared_and_a_second_run_makes_nothing_anew(data: Path, tmp_path: Path) -> None:
    base = make_base(tmp_path / "base", context=2048)
    command: list[str | Path] = ["--data", data, "--model", base, "--work", tmp_path / "run", "--retrieval", "bm25"]
    command += ["--json", tmp_path / "out.json", "--figure", tmp_path / "out.svg", "--pairs-per-passage", "4"]
    command += ["--effort", "quick", "--set", "epochs=1", "rank=4", "passage_words=12"]
    first = run(*command)
    assert first.returncode == 0, first.stdout + first.stderr
    told: dict[str, Any] = json.loads((tmp_path / "out.json").read_text())
    assert [row["method"] for row in told["results"]] == ["base", "oracle", "rag", "sft", "pd", "pd+rag"]
    for row in told["results"]:
        for name, low, high in (("accuracy", "low", "high"), ("f1", "f1_low", "f1_high")):
            assert row[low] <= row[name] <= row[high]
        assert row["seconds"] > 0
        assert ("lost_points" in row) == (row["method"] in {"sft", "pd", "pd+rag"})
        if "lost_points" in row:
            assert row["lost_points_low"] < row["lost_points"] < row["lost_points_high"]
    assert told["settings"]["questions"] == 2
    assert 0 < told["settings"]["pairs"][0]["unique_to_sft"] <= told["settings"]["pairs"][0]["trained_on"] <= 8
    assert set(told["comparisons"]) == {"pd - sft", "pd - rag", "pd+rag - rag", "(pd - base) / (oracle - base)"}
    assert "<svg" in (tmp_path / "out.svg").read_text()

    seed = tmp_path / "run" / "seed-0"
    pd, sft = seed / "prompt-distillation-4", seed / "supervised-fine-tuning-4"
    losses = {method: json.loads((method / "training.json").read_text())["loss"] for method in (pd, sft)}
    assert len(losses[pd]) == len(losses[sft]), "as many steps"
    assert losses[pd] != losses[sft]
    questions = [[pair["question"] for pair in read_pairs(method / "artefacts")] for method in (pd, sft)]
    assert questions[0] == questions[1]
    device = choose_device()
    for name, method in (("pd", pd), ("sft", sft)):
        student = load_student(base, method / "adapter", device, choose_dtype(device))
        prompts = [student.renderer.prompt(student_messages(each)) for each in QUESTIONS]
        said = [answer.text for answer in greedy(student, prompts, ANSWER_TOKENS)]
        assert read_answers(seed / f"answers-{name}-4.json").answers == dict(zip(("1", "2"), said, strict=True))

    second = run(*command)
    assert second.stdout.count("there already") == 6
    assert json.loads((tmp_path / "out.json").read_text()) == told
    other = run(*command, "--passages-read", "1")
    assert other.returncode == 1
    assert "other settings" in other.stdout


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--methods", "base,magic"], "There is no method magic"),
        (["--set", "epochs=many"], "epochs"),
        (["--set", "magic=1"], "magic"),
        (["--effort", "heroic"], "effort"),
        (["--passages", "0"], "at least 1"),
        (["--engines", "0"], "at least 1"),
        (["--engines", "2", "--engine", "vllm"], "--engines is for the embedded engine"),
        (["--judge-url", "http://localhost"], "--judge-model"),
    ],
)
def test_a_wrong_option_is_told(
    data: Path,
    options: list[str],
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["squadshifts", "--data", str(data), "--model", "smollm2-135m", *options])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    assert told in capsys.readouterr().out


def test_scores_are_means_over_seeds_and_only_what_was_run_is_compared(data: Path) -> None:
    items = read_items(data, None)
    answers = [{"1": "Ada Pellrow", "2": "1874"}, {"1": "Otto", "2": "1874"}]
    scores = scores_of(items, answers, lambda grade: grade.holds)
    assert scores == [[[1.0], [1.0]], [[0.0], [1.0]]]
    nothing = [[[0.0], [0.0]]] * 2
    assert compare({"pd": scores, "sft": nothing})["pd - sft"].value == 0.75
    assert set(compare({"pd": scores, "sft": nothing})) == {"pd - sft"}


def test_what_one_method_has_no_grade_for_is_judged_for_none(capsys: pytest.CaptureFixture[str]) -> None:
    graded = judged({"pd": [[[True, None], [True]]], "rag": [[[False, True], [True]]]})
    assert {name: each.value for name, each in graded.items()} == {"pd": 1.0, "rag": 0.5}
    assert (graded["rag"].low, graded["rag"].high) == (0.0, 1.0)
    assert "1 questions have an answer without a grade" in capsys.readouterr().out
    assert judged({"pd": [[[None], [None]]]}) == {}


def test_a_run_of_other_code_is_not_gone_on_with(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    base = make_base(tmp_path / "base", context=2048)
    command = ["--data", data, "--model", base, "--work", tmp_path / "run", "--methods", "base"]
    monkeypatch.setattr(sys, "argv", ["squadshifts", *map(str, command)])
    main()
    file = tmp_path / "run" / "settings.json"
    begun = json.loads(file.read_text())
    main()
    file.write_text(json.dumps(begun | {"code": "another"}, indent=2, sort_keys=True))
    with pytest.raises(SystemExit):
        main()
    assert "of other code" in " ".join(capsys.readouterr().out.split())


def test_other_code_has_another_fingerprint_and_other_prose_has_not(tmp_path: Path) -> None:
    (tmp_path / "package" / "part").mkdir(parents=True)
    code, prose = tmp_path / "package" / "part" / "code.py", tmp_path / "package" / "part" / "notes.md"
    code.write_text("A = 1\n")
    first = code_of([tmp_path / "package"])
    prose.write_text("Notes.")
    assert code_of([tmp_path / "package"]) == first
    code.write_text("A = 2\n")
    second = code_of([tmp_path / "package"])
    code.rename(code.with_name("other.py"))
    assert len({first, second, code_of([tmp_path / "package"])}) == 3
