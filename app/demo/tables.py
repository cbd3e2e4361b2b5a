"""The demo's tables."""

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from app.demo.exam import After, Answer, Before, count_right
from app.demo.questions import Question

_LONGEST_ANSWER = 70


def show_recall(console: Console, questions: Sequence[Question], before: Before, after: After) -> None:
    """Each question about the document, as the base model, the teacher and the adapter answer it."""
    table = Table(title="What it learnt (questions that training never saw)", title_style="bold", show_footer=True)
    of = len(questions)
    table.add_column("question", footer="right", ratio=3)
    columns = (
        ("base model", before.base),
        ("teacher (document in its prompt)", before.teacher),
        ("adapter (closed-book)", after.adapter),
    )
    for heading, answers in columns:
        table.add_column(heading, footer=f"[bold]{count_right(answers)} of {of}[/]", ratio=3)
    for question, *answers in zip(questions, before.base, before.teacher, after.adapter, strict=True):
        table.add_row(escape(question.question), *map(_marked, answers), end_section=True)
    console.print(table)


def show_general(console: Console, questions: Sequence[Question], before: Before, after: After) -> None:
    """Each general question, before and after."""
    if not questions:
        return
    table = Table(title="What it still knows", title_style="bold", show_footer=True)
    of = len(questions)
    table.add_column("general question", footer="right", ratio=3)
    table.add_column("before (base model)", footer=f"[bold]{count_right(before.general)} of {of}[/]", ratio=3)
    table.add_column("after (adapter)", footer=f"[bold]{count_right(after.general)} of {of}[/]", ratio=3)
    for question, *answers in zip(questions, before.general, after.general, strict=True):
        table.add_row(escape(question.question), *map(_marked, answers), end_section=True)
    console.print(table)


def show_times(console: Console, seconds: Mapping[str, float], pairs: int) -> None:
    """Where the time went, by stage, and of the whole."""
    total = seconds["total"]
    table = Table("stage", title="Where the time went", title_style="bold", show_footer=True)
    table.columns[0].footer = "from POST to ready"
    table.add_column("seconds", justify="right", footer=f"[bold]{total:.1f}[/]")
    table.add_column("share", justify="right", footer=f"{pairs} pairs")
    stages = {stage: took for stage, took in seconds.items() if stage != "total"}
    for stage, took in (stages | {"waiting": max(0.0, total - sum(stages.values()))}).items():
        table.add_row(stage, f"{took:.1f}", f"{took / total:.0%}" if total else "")
    console.print(table)


def _marked(answer: Answer) -> str:
    text = " ".join(answer.text.split()) or "(nothing)"
    short = text if len(text) <= _LONGEST_ANSWER else text[: _LONGEST_ANSWER - 1].rstrip() + "…"
    return f"[green]✓ {escape(short)}[/]" if answer.right else f"[red]✗ {escape(short)}[/]"
