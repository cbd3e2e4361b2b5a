"""answer: questions -> pairs, with the teacher's checked answers, some of them held out for examine.

Writes `pairs.jsonl` and `summary.json`: how many pairs, held-out pairs, questions and facts, what was dropped by
reason, and what was asked of the engine. For a child also what it rehearses: see `worker.stages.rehearsal`.
"""

import asyncio
import json
from pathlib import Path
from typing import Any

from app.errors import StageError
from worker.pairs.answering import (
    LONGEST_ANSWER,
    LONGEST_FREE_ANSWER,
    Answered,
    Answering,
    answer,
    coverage,
    hold_out,
)
from worker.pairs.records import pair_records, passages_from, questions_from, write_lines
from worker.pairs.writing import Question
from worker.stages import Progress, StageInputs, rehearsal
from worker.stages.generation import forget_answers, open_writer
from worker.stages.teaching import Teaching


def run(inputs: StageInputs, out: Path, progress: Progress) -> dict[str, Any]:
    """Answer every question as the teacher, and choose what is held out."""
    teaching = Teaching(passages_from(inputs.artefacts / "read" / "passages.jsonl"), inputs.base_model)
    questions = questions_from(inputs.artefacts / "ask" / "questions.jsonl")
    answered, counts = asyncio.run(_answer(inputs, teaching, questions, progress))
    pairs = hold_out(answered.pairs, inputs.settings.seed)
    held_out = sum(pair.held_out for pair in pairs)
    covered = coverage([pair for pair in pairs if not pair.held_out], teaching.passages, teaching.subjects)
    summary = {
        "pairs": len(pairs),
        "held_out": held_out,
        "questions": len({(pair.question.passage_id, pair.question.text) for pair in pairs}),
        "facts": len({(pair.question.passage_id, pair.question.fact) for pair in pairs if pair.question.fact}),
        "coverage": None if covered is None else round(covered, 3),
        "dropped": dict(answered.dropped.most_common()),
        "engine": counts,
    }
    if inputs.parent:
        summary["rehearsed"] = rehearsal.record(inputs, out)
    (out / "summary.json").write_text(json.dumps(summary), encoding="utf-8")
    if len(pairs) == held_out:
        forget_answers(inputs)
        dropped = ", ".join(f"{count} {reason}" for reason, count in answered.dropped.most_common())
        raise StageError(
            f"None of the teacher's answers to {len(questions)} questions passed the checks ({dropped}): the "
            "base model cannot answer from these passages. Set passage_words lower, or use a larger base model."
        )
    write_lines(out / "pairs.jsonl", pair_records(pairs))
    return summary


async def _answer(
    inputs: StageInputs, teaching: Teaching, questions: list[Question], progress: Progress
) -> tuple[Answered, dict[str, Any]]:
    settings = inputs.settings
    answering = Answering(
        samples=settings.answers_per_question - 1,
        temperature=settings.sampling_temperature,
        longest=LONGEST_FREE_ANSWER if teaching.is_strong else LONGEST_ANSWER,
    )
    async with open_writer(inputs) as writer:
        answered = await answer(
            writer,
            questions,
            teaching.passages,
            teaching.subjects,
            teaching.messages,
            answering,
            progress,
        )
        return answered, writer.counts()
