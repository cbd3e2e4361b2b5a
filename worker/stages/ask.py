"""ask: passages -> questions for every fact in them.

Writes `questions.jsonl` and `summary.json`: how many questions were kept, how many dropped by reason, how many of
the facts that the rules find have a question, and what was asked of the engine.
"""

import asyncio
import json
from pathlib import Path
from typing import Any

from app.errors import StageError
from worker.pairs.asking import Asked, Asking, ask
from worker.pairs.listing import LISTING_MODEL
from worker.pairs.model_size import parameters_of
from worker.pairs.passages import Passage
from worker.pairs.records import passages_from, question_records, write_lines
from worker.pairs.writing import STRONG_MODEL
from worker.stages import Progress, StageInputs
from worker.stages.generation import forget_answers, open_writer


def run(inputs: StageInputs, out: Path, progress: Progress) -> dict[str, Any]:
    """Write questions with the base model."""
    passages = passages_from(inputs.artefacts / "read" / "passages.jsonl")
    asked, counts = asyncio.run(_ask(inputs, passages, progress))
    summary = {
        "kept": len(asked.questions),
        "dropped": dict(asked.dropped.most_common()),
        "facts": asked.facts,
        "coverage": round(asked.covered / asked.facts, 3) if asked.facts and asked.covered else None,
        "engine": counts,
    }
    (out / "summary.json").write_text(json.dumps(summary), encoding="utf-8")
    if not asked.questions:
        forget_answers(inputs)
        dropped = ", ".join(f"{count} {reason}" for reason, count in asked.dropped.most_common()) or "none was written"
        raise StageError(
            f"No usable question came of {len(passages)} passages ({dropped}): the document states too few facts for "
            "questions, or the base model is too weak to write them. Post a longer text in whole sentences, or use a "
            "larger base model."
        )
    write_lines(out / "questions.jsonl", question_records(asked.questions))
    return summary


async def _ask(inputs: StageInputs, passages: list[Passage], progress: Progress) -> tuple[Asked, dict[str, Any]]:
    async with open_writer(inputs) as writer:
        return await ask(writer, passages, asking_of(inputs), progress), writer.counts()


def asking_of(inputs: StageInputs) -> Asking:
    """How a job asks."""
    parameters = parameters_of(inputs.base_model)
    return Asking(
        per_fact=inputs.settings.questions_per_fact,
        temperature=inputs.settings.sampling_temperature,
        strong=parameters >= STRONG_MODEL,
        lists=LISTING_MODEL <= parameters < STRONG_MODEL,
    )
