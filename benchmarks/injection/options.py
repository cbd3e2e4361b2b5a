"""The options that the scripts share, and the plan that they make."""

import argparse
import hashlib
import json
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from app.errors import ConfigurationError
from app.jobs.settings import JobSettings, ResolvedSettings, resolve
from benchmarks.engine_process import ENGINES
from benchmarks.injection.data import read_items
from benchmarks.injection.methods import WAYS
from benchmarks.injection.run import Plan
from benchmarks.injection.steps import say
from worker.base_model import resolve_base_model
from worker.stages.provenance import versions

TRAINING: Final = frozenset(
    (
        "rank",
        "learning_rate",
        "epochs",
        "batch_size",
        "kl_temperature",
        "teacher_temperature",
        "retention_weight",
        "max_drift",
    )
)
"""The settings of a job that the training alone depends on."""
_MAKERS: Final = ("app", "worker", "benchmarks.injection")
"""The packages that make pairs, train and answer."""
_RETRIEVAL: Final = ("bm25", "embeddings", "hybrid")


def add_options(parser: argparse.ArgumentParser) -> None:
    """What is run, on what, and where it is kept."""
    parser.add_argument("--data", type=Path, required=True, help="JSON lines with passages and questions")
    parser.add_argument("--model", required=True, help="base model: smollm2-135m, a folder or a Hugging Face id")
    parser.add_argument("--passages", type=int, help="the first so many (all)")
    parser.add_argument("--seeds", type=int, default=1, help="how many: 0, 1, …")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="settings of the job, by name")
    parser.add_argument("--retrieval", choices=_RETRIEVAL, default="hybrid", help="BM25, embeddings, or both (hybrid)")
    parser.add_argument("--passages-read", type=int, default=3, help="passages that retrieval puts into the prompt")
    parser.add_argument("--engine", choices=ENGINES, default="embedded", help="what writes the pairs")
    parser.add_argument("--vllm-python", type=Path, help="the interpreter that has vLLM")
    parser.add_argument("--engines", type=int, default=1, help="how many embedded ones, side by side on one GPU (1)")
    parser.add_argument("--rows", type=int, help="answers that an engine writes at once (its own number)")
    parser.add_argument("--work", type=Path, help="the run's folder (one of its own in the temporary folder)")
    parser.add_argument("--json", type=Path, help="also write the results to this file")
    parser.add_argument("--figure", type=Path, help="also draw the accuracies into this SVG file")


def make_plan(
    options: argparse.Namespace, methods: Sequence[str], effort: str, most_pairs: int | None
) -> tuple[Plan, dict[str, Any]]:
    """The plan, and what the results tell of it. The run's folder fits one plan, but for methods and `most_pairs`.

    It fits one state of the code, too: what another one made is not told as this one's.

    Raises:
        ConfigurationError: an option is wrong.
    """
    unknown = [name for name in methods if name not in WAYS]
    if unknown:
        raise ConfigurationError(f"There is no method {', '.join(unknown)}. Choose of {', '.join(WAYS)} (--methods).")
    numbers = {name: getattr(options, name) for name in ("passages", "seeds", "passages_read", "engines", "rows")}
    for name, value in (*numbers.items(), ("pairs_per_passage", most_pairs)):
        if value is not None and value < 1:
            raise ConfigurationError(f"--{name.replace('_', '-')} is {value}; it has to be at least 1.")
    if options.engine == "vllm" and options.engines > 1:
        raise ConfigurationError("--engines is for the embedded engine: vLLM has the GPU's memory to itself.")
    resolved = _settings(effort, options.set)
    items = read_items(options.data, options.passages)
    base = resolve_base_model(options.model, Path.home() / ".cache" / "ingrain")
    settings = {
        "data": options.data.name,
        "data_sha256": hashlib.sha256(options.data.read_bytes()).hexdigest(),
        "passages": len(items),
        "questions": sum(len(item.questions) for item in items),
        "model": Path(options.model).name,
        "revision": base.revision,
        "job": resolved.model_dump(mode="json"),
        "retrieval": options.retrieval,
        "passages_read": options.passages_read,
        "engine": options.engine,
        "versions": versions(),
        "code": code_of([Path(str(files(package))) for package in _MAKERS]),
    }
    plan = Plan(
        items=tuple(items),
        model=base.folder,
        revision=base.revision,
        ways={name: WAYS[name] for name in methods},
        settings=resolved,
        most_pairs=most_pairs,
        retrieval=options.retrieval,
        passages_read=options.passages_read,
        engine=options.engine,
        engines=options.engines,
        rows=options.rows,
        vllm_python=options.vllm_python,
        folder=_folder(options.work, settings),
    )
    say(f"the run's folder: {plan.folder}")
    return plan, settings | {"pairs_per_passage": most_pairs}


def code_of(folders: Sequence[Path]) -> str:
    """The fingerprint of the code and data of packages: with others a run is another one."""
    digest = hashlib.sha256()
    for folder in folders:
        for file in sorted(folder.rglob("*")):
            if file.suffix in {".py", ".json"}:
                digest.update(f"{folder.name}/{file.relative_to(folder)}\n".encode() + file.read_bytes())
    return digest.hexdigest()[:16]


def trained_with(plan: Plan, named: Sequence[str]) -> Plan:
    """The plan with other settings of the training, each NAME=VALUE.

    Raises:
        ConfigurationError: one is no setting of the training (it would change the pairs), or a value is wrong.
    """
    names = [text.partition("=")[0] for text in named]
    unknown = [name for name in names if name not in TRAINING]
    if unknown:
        raise ConfigurationError(f"{', '.join(unknown)} is no setting of the training: {', '.join(sorted(TRAINING))}.")
    checked = _settings(plan.settings.effort, named)
    return replace(plan, settings=plan.settings.model_copy(update={name: getattr(checked, name) for name in names}))


def _settings(effort: str, named: Sequence[str]) -> ResolvedSettings:
    pairs = [text.partition("=") for text in named]
    try:
        return resolve(JobSettings.model_validate({"effort": effort} | {name: value for name, _, value in pairs}))
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
        raise ConfigurationError(
            f"{folder} holds a run with other settings, or of other code ({file.name}). Give another --work."
        )
    file.write_text(told)
    return folder
