"""answer: questions -> pairs, with the teacher's checked answers, some of them held out for examine.

What the pairs do not cover is asked for again, and answered, until the effort's goal is met. Writes `pairs.jsonl`;
`coverage.json`, a list of the sentences of which something is not asked for, and what; and `summary.json`: how many
pairs, held-out pairs, questions and facts, what share of the questions is nearly another one, what of the passages is
covered, what was dropped by reason (answers, and the questions that were asked for again), and what was asked of the
engine. For a child also what it rehearses: see `worker.stages.rehearsal`.
"""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from app.errors import StageError
from app.jobs.settings import Effort
from worker.pairs.answering import (
    LONGEST_ANSWER,
    LONGEST_FREE_ANSWER,
    Answered,
    Answering,
    answer,
)
from worker.pairs.copies import share_alike, without_copies
from worker.pairs.coverage import measure
from worker.pairs.held_out import hold_out
from worker.pairs.known import mark_known
from worker.pairs.listing import LISTING_MODEL
from worker.pairs.model_size import parameters_of
from worker.pairs.records import pair_records, passages_from, questions_from, write_lines
from worker.pairs.rounds import Goal, cover
from worker.pairs.writing import Question
from worker.stages import Progress, StageInputs, rehearsal
from worker.stages.ask import asking_of
from worker.stages.generation import forget_answers, open_writer
from worker.stages.teaching import Teaching

GOALS = {Effort.QUICK: Goal(0.9, rounds=1), Effort.STANDARD: Goal(0.95, rounds=3), Effort.THOROUGH: Goal(1.0, rounds=4)}
"""What the pairs are to cover, by effort."""
LOOKING = 0.25
"""Of the time that answering takes, what it takes to look at what is known: about that, as progress has it."""


def run(inputs: StageInputs, out: Path, progress: Progress) -> dict[str, Any]:
    """Answer every question as the teacher, and choose what is held out."""
    teaching = Teaching(passages_from(inputs.artefacts / "read" / "passages.jsonl"), inputs.base_model)
    questions = questions_from(inputs.artefacts / "ask" / "questions.jsonl")
    answered, counts, rounds = asyncio.run(_answer(inputs, teaching, questions, progress))
    pairs = hold_out(answered.pairs, teaching.passages, teaching.subjects, inputs.settings.seed)
    held_out = sum(pair.held_out for pair in pairs)
    covered = measure((pair for pair in pairs if not pair.held_out), teaching.passages, teaching.subjects)
    summary = {
        "pairs": len(pairs),
        "held_out": held_out,
        "questions": len({(pair.question.passage_id, pair.question.text) for pair in pairs}),
        "facts": len({(pair.question.passage_id, pair.question.fact) for pair in pairs if pair.question.fact}),
        "known": sum(pair.known for pair in pairs),
        "near_duplicates": round(share_alike(pairs), 4),
        "coverage": None if covered.share is None else round(covered.share, 3),
        "coverage_details": covered.details(),
        "rounds": rounds,
        "dropped": dict((+answered.dropped).most_common()),
        "dropped_questions": dict((+answered.dropped_questions).most_common()),
        "engine": counts,
    }
    if inputs.parent:
        summary["rehearsed"] = rehearsal.record(inputs, out, [pair for pair in pairs if pair.held_out])
    (out / "summary.json").write_text(json.dumps(summary), encoding="utf-8")
    if len(pairs) == held_out:
        forget_answers(inputs)
        dropped = ", ".join(f"{count} {reason}" for reason, count in answered.dropped.most_common())
        raise StageError(
            f"None of the teacher's answers to {len(questions)} questions passed the checks ({dropped}): the "
            "base model cannot answer from these passages. Set passage_words lower, or use a larger base model."
        )
    write_lines(out / "pairs.jsonl", pair_records(pairs, teaching.passages))
    gaps = [asdict(gap) for gap in covered.gaps]
    (out / "coverage.json").write_text(json.dumps(gaps, ensure_ascii=False, indent=1), encoding="utf-8")
    return summary


async def _answer(
    inputs: StageInputs, teaching: Teaching, questions: list[Question], progress: Progress
) -> tuple[Answered, dict[str, Any], int]:
    """Pairs, what was asked of the engine, and the rounds of asking again."""
    settings = inputs.settings
    answering = Answering(
        samples=settings.answers_per_question - 1,
        temperature=settings.sampling_temperature,
        longest=LONGEST_FREE_ANSWER if teaching.is_strong else LONGEST_ANSWER,
        grounded=not teaching.is_strong,
        spans=parameters_of(inputs.base_model) >= LISTING_MODEL,
    )
    looking = round(len(questions) * LOOKING)
    total = len(questions) + looking + 1  # for asking again

    async with open_writer(inputs) as writer:

        async def pairs_for(
            asked: Sequence[Question], tell: Progress = lambda *_: None, tell_looking: Progress = lambda *_: None
        ) -> Answered:
            found = await answer(
                writer, asked, teaching.passages, teaching.subjects, teaching.messages, answering, tell
            )
            found.pairs = rehearsal.without_old_exam(inputs, found.pairs, found.dropped)
            found.pairs = without_copies(found.pairs, found.dropped_questions)
            found.pairs = await mark_known(writer, found.pairs, found.dropped, tell_looking)
            return found

        answered = await pairs_for(
            questions,
            lambda done, _: progress(done, total),
            lambda done, of: progress(len(questions) + looking * done // of, total),
        )
        progress(total - 1, total)
        rounds = await cover(
            writer,
            answered,
            pairs_for,
            teaching.passages,
            teaching.outlines,
            asking_of(inputs),
            GOALS[settings.effort],
        )
        progress(total, total)
        return answered, writer.counts(), rounds
