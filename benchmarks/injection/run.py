"""A run: pairs, adapters and answers, each made once and kept in the run's folder."""

import json
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from app.jobs.settings import ResolvedSettings
from app.retrieval.ranking import Method as Ranking
from app.retrieval.ranking import Ranker
from benchmarks.engine_process import EngineName, engine_settings, running_engines
from benchmarks.injection.answers import Answers, answer_all, chat, read_answers
from benchmarks.injection.data import Item
from benchmarks.injection.methods import FINE_TUNING, Reading, Way
from benchmarks.injection.pairs import read_pairs, summaries, thinned, with_greedy_answers, write_pairs
from benchmarks.injection.steps import Tell, once, say, teller
from worker.device import choose_device, choose_dtype
from worker.distillation.student import (
    Student,
    load_student,
    new_student,
    use_all_cores,
)
from worker.pairs.model_size import parameters_of
from worker.pairs.records import passages_from
from worker.pairs.writing import STRONG_MODEL
from worker.stages import DocumentText, EngineAddress, StageInputs, answer, ask, distil, read, retained
from worker.stages.distil import Method

PAIRS: Final = "pairs"


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run does.

    Attributes:
        items: the passages with their questions.
        model: folder of the base model; revision: which it is.
        ways: what is compared, by name.
        settings: of the adapters, but for the seed.
        variant: tells adapters and their answers from those of other plans in the same folder, on the same pairs.
        most_pairs: of a passage; None: all that were made.
        retrieval: how passages are found, and how many are read.
        engine: what writes the pairs; engines: how many of it; rows: how many answers each writes at once, None: as
            many as it does by itself.
        folder: of the run.
    """

    items: tuple[Item, ...]
    model: Path
    revision: str
    ways: Mapping[str, Way]
    settings: ResolvedSettings
    most_pairs: int | None
    retrieval: Ranking
    passages_read: int
    engine: EngineName
    engines: int
    rows: int | None
    vllm_python: Path | None
    folder: Path
    variant: str = ""

    @property
    def label(self) -> str:
        """What its adapters and their answers are called by."""
        return f"{self.most_pairs or 'all'}{self.variant}"


@dataclass(frozen=True, slots=True)
class Made:
    """What came of one seed.

    Attributes:
        answers: of each way, by question.
        seconds: of each way: of making pairs, training and answering, as far as it needs them.
        training: the seconds of training alone, of the ways that train.
        retention: of the ways that train: what their adapters still know of other things, as a report has it.
        pairs: what is told of the pairs.
    """

    answers: dict[str, dict[str, str]]
    seconds: dict[str, float]
    training: dict[str, float]
    retention: dict[str, dict[str, Any]]
    pairs: dict[str, Any]


def run(plan: Plan, seed: int) -> Made:
    """Make what is missing of one seed."""
    use_all_cores()
    folder = plan.folder / f"seed-{seed}"
    inputs = _inputs(plan, folder, seed)
    trained = {way.adapter.name: way.adapter for way in plan.ways.values() if way.adapter}
    spent: dict[str, float] = {}
    if trained:
        spent[PAIRS] = once(folder / PAIRS, f"seed {seed}: pairs", lambda out, _: _make_pairs(plan, inputs, out))
    for method in trained.values():
        spent[method.name] = once(
            _adapter(plan, folder, method),
            f"seed {seed}: {method.name}",
            partial(_train, plan, inputs, method),
        )
    answers = {name: _answers(plan, folder, name, way, seed) for name, way in plan.ways.items()}
    seconds = {
        name: answers[name].seconds + (spent[PAIRS] + spent[way.adapter.name] if way.adapter else 0.0)
        for name, way in plan.ways.items()
    }
    return Made(
        answers={name: said.answers for name, said in answers.items()},
        seconds=seconds,
        retention={name: _retention(plan, inputs, way.adapter) for name, way in plan.ways.items() if way.adapter},
        training={
            name: _train_seconds(_adapter(plan, folder, way.adapter)) for name, way in plan.ways.items() if way.adapter
        },
        pairs=_told(plan, folder / PAIRS) if trained else {},
    )


def _train_seconds(adapter: Path) -> float:
    """The seconds of an adapter's steps, without what comes before the first."""
    seconds: float = json.loads((adapter / "training.json").read_text(encoding="utf-8"))["seconds"]["train"]
    return seconds


def _adapter(plan: Plan, folder: Path, method: Method) -> Path:
    return folder / f"{method.name.replace(' ', '-')}-{plan.label}"


def load_trained(plan: Plan, seed: int, way: Way) -> Student:
    """The base model with the adapter that a way answers with, once `run` has made it."""
    return _load(plan, plan.folder / f"seed-{seed}", way)


def shows_examples(plan: Plan) -> bool:
    """Whether the base model, as the teacher, is shown examples of answers."""
    return parameters_of(plan.model) < STRONG_MODEL


def _inputs(plan: Plan, folder: Path, seed: int) -> StageInputs:
    return StageInputs(
        job_id="benchmark",
        adapter_id="benchmark",
        settings=plan.settings.model_copy(update={"seed": seed}),
        documents=tuple(DocumentText(item.id, item.title, item.passage) for item in plan.items),
        base_model=plan.model,
        base_model_name=str(plan.model.absolute()),
        base_revision=plan.revision,
        engine=EngineAddress(()),
        artefacts=folder,
        scratch=folder / "scratch",
        cache=plan.folder,
        max_lora_rank=plan.settings.rank,
    )


def _make_pairs(plan: Plan, inputs: StageInputs, out: Path) -> None:
    """read, ask and answer, as a job that has all passages as its documents."""
    settings = engine_settings(
        plan.engine, plan.model, max_loras=1, max_lora_rank=plan.settings.rank, vllm_python=plan.vllm_python
    )
    inputs.scratch.mkdir(parents=True, exist_ok=True)
    rows = ("--max-num-seqs", str(plan.rows)) if plan.rows else ()
    with running_engines(settings, "auto", inputs.scratch, rows, plan.engines) as urls:
        for name, stage in (("read", read), ("ask", ask), ("answer", answer)):
            (out / name).mkdir()
            scratch = inputs.scratch / name
            scratch.mkdir(exist_ok=True)
            asking = replace(
                inputs,
                engine=EngineAddress(urls, concurrency=plan.rows or settings.engine_concurrency),
                base_model_name=settings.base_model_name,
                artefacts=out,
                scratch=scratch,
            )
            began = time.monotonic()
            stage.run(asking, out / name, teller(f"{name}"))
            say(f"{name}: {time.monotonic() - began:.0f} s")


def _chosen(plan: Plan, pairs: Path) -> list[dict[str, Any]]:
    """The pairs to train on."""
    documents = {passage.id: passage.document_id for passage in passages_from(pairs / "read" / "passages.jsonl")}
    return thinned(read_pairs(pairs), documents, plan.most_pairs)


def _told(plan: Plan, pairs: Path) -> dict[str, Any]:
    """What the results say of the pairs; sft has as many of them, but only `unique_to_sft` different ones."""
    chosen = _chosen(plan, pairs)
    unique = {(pair["question"], pair["answer"]) for pair in with_greedy_answers(chosen)}
    counts = {"made": len(read_pairs(pairs)), "trained_on": len(chosen), "unique_to_sft": len(unique)}
    return {**counts, **summaries(pairs)}


def _train(plan: Plan, inputs: StageInputs, method: Method, out: Path, tell: Tell) -> None:
    """Train an adapter on the chosen pairs."""
    artefacts, pairs = out / "artefacts", inputs.artefacts / PAIRS
    artefacts.mkdir()
    (artefacts / "read").symlink_to((pairs / "read").absolute())
    chosen = _chosen(plan, pairs)
    write_pairs(artefacts, with_greedy_answers(chosen) if method.name == FINE_TUNING.name else chosen)
    scratch = inputs.scratch / _adapter(plan, out, method).name
    scratch.mkdir(parents=True, exist_ok=True)
    distil.run(replace(inputs, artefacts=artefacts, scratch=scratch), out, tell, method)


def _answers(plan: Plan, folder: Path, name: str, way: Way, seed: int) -> Answers:
    """Answer what is not answered yet; the base model needs no seed, so it answers once for all."""
    file = plan.folder / f"answers-{name}.json"
    if way.adapter:
        file = folder / f"answers-{name}-{plan.label}.json"
    read = [f"{item.title} {item.passage}" for item in plan.items]
    ranker = Ranker(read, plan.retrieval) if way.reading is Reading.FOUND else None

    def find(question: str) -> Sequence[int]:
        return [index for index, _ in ranker.best(question, plan.passages_read)] if ranker else []

    shown = shows_examples(plan)
    chats = {
        asked.id: chat(plan.items, item, asked.question, way.reading, find, shown)
        for item in plan.items
        for asked in item.questions
    }
    if chats.keys() - read_answers(file).answers.keys():
        student = _load(plan, folder, way)
        with nullcontext() if way.adapter else student.as_base():
            answer_all(student, plan.items, chats, file, teller(f"seed {seed}: {name} answers"))
    return read_answers(file)


def _load(plan: Plan, folder: Path, way: Way) -> Student:
    if way.adapter:
        return _load_adapter(plan, _adapter(plan, folder, way.adapter))
    device = choose_device()
    return new_student(plan.model, 1, 0, device, choose_dtype(device))


def _load_adapter(plan: Plan, folder: Path) -> Student:
    device = choose_device()
    return load_student(plan.model, folder / "adapter", device, choose_dtype(device))


def _retention(plan: Plan, inputs: StageInputs, method: Method) -> dict[str, Any]:
    """What an adapter still knows of other things, measured once."""
    folder = _adapter(plan, inputs.artefacts, method)

    def measure(out: Path, _: Tell) -> None:
        student = _load_adapter(plan, folder)
        (out / "retention.json").write_text(json.dumps(retained.measure(student, inputs, lambda _: None)))

    once(folder.with_name(f"{folder.name}-retention"), f"{folder.name}: retention", measure)
    found: dict[str, Any] = json.loads((folder.with_name(f"{folder.name}-retention") / "retention.json").read_text())
    return found
