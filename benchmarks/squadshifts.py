"""The paper's experiment: passages that a model does not know, questions that people asked about them, six ways to
give it the knowledge.

    python -m benchmarks.squadshifts --data FILE --model MODEL [--passages 50] [--seeds 1]
        [--methods base,oracle,rag,sft,pd,pd+rag] [--effort standard] [--set epochs=3 …] [--pairs-per-passage 20]
        [--json PATH] [--figure PATH]

FILE has a JSON object a line: `title`, `passage`, `questions` (a list of `id`, `question`, `answers`), as SQuADshifts
(Miller, Krauth, Recht and Schmidt, ICML 2020; https://modestyachts.github.io/squadshifts-website/) has them once its
paragraphs are laid out so. One adapter is trained for all passages, as in "Knowledge Injection via Prompt Distillation"
(arXiv 2412.14964). sft and pd have the same base model, questions, number of pairs, steps, learning rate and retention
term, and differ in the loss; sft learns the teacher's greedy answers, pd its distributions.

Accuracy is the share of answers that hold a right one, after SQuAD's normalisation; a judge adds its own. Intervals are
95 % bootstrap intervals over passages. Run the same command again and it goes on where it was stopped.
"""

import argparse
import hashlib
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from app.errors import ConfigurationError, IngrainError
from app.jobs.settings import JobSettings, ResolvedSettings, resolve
from benchmarks.engine_process import ENGINES
from benchmarks.injection.data import Item, read_items
from benchmarks.injection.figure import bars
from benchmarks.injection.grading import Grade, grade
from benchmarks.injection.intervals import Estimate, Floats, difference, estimate, recovered
from benchmarks.injection.judge import Judge, judge_all
from benchmarks.injection.methods import WAYS
from benchmarks.injection.run import Made, Plan, run
from benchmarks.injection.steps import say
from worker.base_model import resolve_base_model

RETRIEVAL: Final = ("bm25", "embeddings", "hybrid")

Figure = Callable[[list[Floats]], Floats]

COMPARISONS: Final[tuple[tuple[str, tuple[str, ...], Figure], ...]] = (
    ("pd - sft", ("pd", "sft"), difference),
    ("pd - rag", ("pd", "rag"), difference),
    ("pd+rag - rag", ("pd+rag", "rag"), difference),
    ("(pd - base) / (oracle - base)", ("pd", "base", "oracle"), recovered),
)
"""What the methods are compared by: what it is called, of which methods, and how it follows from their accuracies."""


@dataclass(frozen=True, slots=True)
class Row:
    """A method's figures over all seeds; `judged` is None where no judge was asked, seconds are a seed's on average."""

    method: str
    accuracy: Estimate
    f1: float
    exact: float
    judged: float | None
    seconds: float


Scores = list[list[float]]
"""For each passage, its questions' scores, each the mean over the seeds."""


def scores_of(items: Sequence[Item], made: Sequence[dict[str, str]], score: Callable[[Grade], float]) -> Scores:
    """A method's scores: `made` has its answers by question, for each seed."""
    return [
        [
            sum(score(grade(answers[asked.id], asked.answers)) for answers in made) / len(made)
            for asked in item.questions
        ]
        for item in items
    ]


def compare(scores: dict[str, Scores]) -> dict[str, Estimate]:
    """The comparisons that the methods at hand allow, on their accuracies."""
    return {
        name: estimate([scores[method] for method in methods], figure)
        for name, methods, figure in COMPARISONS
        if all(method in scores for method in methods)
    }


def main() -> None:
    options = _parser().parse_args()
    console = Console(width=120)
    try:
        plan, settings = _plan(options)
        say(f"the run's folder: {plan.folder}")
        made = [run(plan, seed) for seed in range(options.seeds)]
        judged = _judge(options, plan, made)
    except IngrainError as error:
        console.print(f"[bold red]Error:[/] {error.detail}", highlight=False)
        sys.exit(1)
    scores = {
        name: scores_of(plan.items, [each.answers[name] for each in made], lambda grade: grade.holds)
        for name in plan.methods
    }
    rows = [_row(plan.items, name, scores[name], made, judged.get(name)) for name in plan.methods]
    compared = compare(scores)
    _print(console, options, plan, rows, compared)
    if options.json:
        result = {
            "results": [_flat(row) for row in rows],
            "comparisons": {name: asdict(each) for name, each in compared.items()},
            "settings": settings | {"pairs": [each.pairs for each in made]},
        }
        options.json.write_text(json.dumps(result, indent=2))
    if options.figure:
        options.figure.write_text(bars(_title(options, plan), [(row.method, row.accuracy) for row in rows]))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="JSON lines with passages and questions")
    parser.add_argument("--model", required=True, help="base model: smollm2-135m, a folder or a Hugging Face id")
    parser.add_argument("--passages", type=int, help="the first so many (all)")
    parser.add_argument("--methods", default=",".join(WAYS), help=f"of {', '.join(WAYS)}")
    parser.add_argument("--seeds", type=int, default=1, help="how many: 0, 1, …")
    parser.add_argument("--effort", default="standard", help="quick, standard or thorough")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="settings of the job, by name")
    parser.add_argument("--pairs-per-passage", type=int, help="train on at most so many (all)")
    parser.add_argument("--retrieval", choices=RETRIEVAL, default="hybrid", help="BM25, embeddings, or both (hybrid)")
    parser.add_argument("--passages-read", type=int, default=3, help="passages that retrieval puts into the prompt")
    parser.add_argument("--engine", choices=ENGINES, default="embedded", help="what writes the pairs")
    parser.add_argument("--vllm-python", type=Path, help="the interpreter that has vLLM")
    parser.add_argument("--judge-url", help="an OpenAI endpoint whose model grades, up to /v1")
    parser.add_argument("--judge-model", help="that model")
    parser.add_argument("--judge-key", help="the endpoint's key")
    parser.add_argument("--work", type=Path, help="the run's folder (one of its own in the temporary folder)")
    parser.add_argument("--json", type=Path, help="also write the results to this file")
    parser.add_argument("--figure", type=Path, help="also draw the accuracies into this SVG file")
    return parser


def _plan(options: argparse.Namespace) -> tuple[Plan, dict[str, Any]]:
    """The plan, and what is told of it in the results; the run's folder holds it too, and fits no other plan."""
    methods = tuple(dict.fromkeys(options.methods.split(",")))
    unknown = [name for name in methods if name not in WAYS]
    if unknown:
        raise ConfigurationError(f"There is no method {', '.join(unknown)}. Choose of {', '.join(WAYS)} (--methods).")
    for name in ("passages", "seeds", "pairs_per_passage", "passages_read"):
        value = getattr(options, name)
        if value is not None and value < 1:
            raise ConfigurationError(f"--{name.replace('_', '-')} is {value}; it has to be at least 1.")
    if bool(options.judge_url) != bool(options.judge_model):
        raise ConfigurationError("A judge needs both --judge-url and --judge-model.")
    items = read_items(options.data, options.passages)
    resolved = _settings(options)
    base = resolve_base_model(options.model, Path.home() / ".cache" / "ingrain")
    settings = {
        "data": options.data.name,
        "data_sha256": hashlib.sha256(options.data.read_bytes()).hexdigest(),
        "passages": len(items),
        "questions": sum(len(item.questions) for item in items),
        "model": Path(options.model).name,
        "revision": base.revision,
        "job": resolved.model_dump(mode="json"),
        "pairs_per_passage": options.pairs_per_passage,
        "retrieval": options.retrieval,
        "passages_read": options.passages_read,
        "engine": options.engine,
    }
    folder = _folder(options.work, settings)
    plan = Plan(
        items=tuple(items),
        model=base.folder,
        revision=base.revision,
        methods=methods,
        settings=resolved,
        most_pairs=options.pairs_per_passage,
        retrieval=options.retrieval,
        passages_read=options.passages_read,
        engine=options.engine,
        vllm_python=options.vllm_python,
        folder=folder,
    )
    return plan, settings | {"seeds": options.seeds, "judge": options.judge_model}


def _settings(options: argparse.Namespace) -> ResolvedSettings:
    pairs = [text.partition("=") for text in options.set]
    try:
        return resolve(JobSettings(effort=options.effort, **{name: value for name, _, value in pairs}))
    except ValidationError as error:
        wrong = "; ".join(f"{each['loc'][0]}: {each['msg']}" for each in error.errors())
        raise ConfigurationError(f"--effort or --set is wrong: {wrong}.") from error


def _folder(asked: Path | None, settings: dict[str, Any]) -> Path:
    """The run's folder, which holds the settings that it was begun with."""
    told = json.dumps(settings, indent=2, sort_keys=True)
    name = hashlib.sha256(told.encode()).hexdigest()[:12]
    folder = asked or Path(tempfile.gettempdir()) / f"ingrain-squadshifts-{name}"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "settings.json"
    if file.is_file() and file.read_text() != told:
        raise ConfigurationError(f"{folder} holds a run with other settings ({file.name}). Give another --work.")
    file.write_text(told)
    return folder


def _judge(options: argparse.Namespace, plan: Plan, made: Sequence[Made]) -> dict[str, float]:
    """The share of each method's answers that the judge finds right; nothing where there is no judge."""
    if not options.judge_url:
        return {}
    judge = Judge(options.judge_url, options.judge_model, options.judge_key)
    name = hashlib.sha256(options.judge_model.encode()).hexdigest()[:8]
    shares = {}
    for method in plan.methods:
        asked = [
            (f"{seed}/{each.id}", each.question, each.answers, answers.answers[method][each.id])
            for seed, answers in enumerate(made)
            for item in plan.items
            for each in item.questions
        ]
        grades = judge_all(judge, asked, plan.folder / f"judged-{name}-{method}.json", f"judging {method}")
        shares[method] = sum(grades[key] is True for key, *_ in asked) / len(asked)
    return shares


def _row(items: Sequence[Item], name: str, scores: Scores, made: Sequence[Made], judged: float | None) -> Row:
    answers = [each.answers[name] for each in made]
    return Row(
        method=name,
        accuracy=estimate([scores]),
        f1=estimate([scores_of(items, answers, lambda grade: grade.f1)]).value,
        exact=estimate([scores_of(items, answers, lambda grade: grade.exact)]).value,
        judged=judged,
        seconds=round(sum(each.seconds[name] for each in made) / len(made), 1),
    )


def _flat(row: Row) -> dict[str, Any]:
    return {
        "method": row.method,
        "accuracy": row.accuracy.value,
        "low": row.accuracy.low,
        "high": row.accuracy.high,
        "f1": row.f1,
        "exact": row.exact,
        "seconds": row.seconds,
        **({"judged": row.judged} if row.judged is not None else {}),
    }


def _title(options: argparse.Namespace, plan: Plan) -> str:
    return f"{options.data.stem}, {len(plan.items)} passages, {Path(options.model).name}: accuracy in %"


def _print(
    console: Console, options: argparse.Namespace, plan: Plan, rows: Sequence[Row], compared: dict[str, Estimate]
) -> None:
    table = Table(title=_title(options, plan), caption="seconds: of pairs, training and answering, for one seed")
    for heading in ("method", "accuracy", "95 % interval", "F1", "exact", "judge", "seconds"):
        table.add_column(heading, justify="left" if heading == "method" else "right")
    for row in rows:
        table.add_row(
            row.method,
            f"{100 * row.accuracy.value:.1f}",
            f"{100 * row.accuracy.low:.1f} to {100 * row.accuracy.high:.1f}",
            f"{100 * row.f1:.1f}",
            f"{100 * row.exact:.1f}",
            "" if row.judged is None else f"{100 * row.judged:.1f}",
            f"{row.seconds:.0f}",
        )
    console.print(table)
    for name, each in compared.items():
        scale, unit = (1, "") if "/" in name else (100, " points")
        console.print(
            f"{name}: {scale * each.value:.2f}{unit} (95 % interval {scale * each.low:.2f} to {scale * each.high:.2f})",
            highlight=False,
        )


if __name__ == "__main__":
    main()
