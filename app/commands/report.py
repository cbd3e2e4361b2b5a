"""An adapter's report on the terminal, for `ingrain adapters`."""

from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from app.api_client import IngrainClient, Json
from app.commands.shared import Screen
from app.errors import ConfigurationError
from app.figures import duration, number, percent, signed
from app.jobs.floors import sentence_of

_WHO = {
    "base": "base model, closed-book",
    "retrieval": "base model, with retrieval",
    "teacher": "teacher, passage in its prompt",
    "adapter": "adapter, closed-book",
    "parent": "parent, as its report tells",
}


def report_of(client: IngrainClient, name: str, screen: Screen, html: Path | None) -> None:
    """Show the report of an adapter, which is named by its id or an alias, and save it as a page."""
    adapter_id = name if name.startswith("adp_") else client.get(f"/v1/aliases/{name}")["adapter_id"]
    path = f"/v1/adapters/{adapter_id}/report"
    report = client.get(path)
    screen.data(report)
    _show(screen.console, report)
    if html is not None:
        _save(client.page(path), html)
        screen.console.print(f"Saved as {html}", markup=False)


def show_recall(console: Console, report: Json) -> None:
    """Who answered how many held-out questions right; of a child, also of its parent's."""
    console.print(_recall_table("held-out questions", report["recall"]))
    if report["old"]:
        console.print(_recall_table("held-out questions of its parent", report["old"]["recall"]))


def show_retention(console: Console, report: Json) -> None:
    """What became of what the base model knew."""
    retention = report["retention"] or {}
    if retention.get("lost_points") is not None:
        console.print(
            f"General prompts: {retention['base_right']} of {retention['prompts']} right before, "
            f"{retention['adapter_right']} after ({signed(-retention['lost_points'])} points{_interval(retention)})"
        )
    if drift := retention.get("drift"):
        console.print(f"Drift on unrelated prompts: {drift['nats']:.4f} nats a token (0: as the base model)")


def _interval(retention: Json) -> str:
    if retention.get("lost_points_low") is None:
        return ""
    low, high = -retention["lost_points_high"], -retention["lost_points_low"]
    return f"; 95 % interval {signed(low)} to {signed(high)}"


def show_items(console: Console, report: Json) -> None:
    """Each held-out question with everyone's answer; of a child, also its parent's."""
    console.print(_items_table("question", report))
    if report["old"]:
        console.print(_items_table("question of its parent", report["old"]))


def _recall_table(questions: str, recall: Json) -> Table:
    table = Table(questions, box=None, pad_edge=False)
    for heading in ("right", "of", "share", "95 % interval"):
        table.add_column(heading, justify="right")
    for who in _asked(recall):
        score = recall[who]
        reach = "" if score["low"] is None else f"{percent(score['low'])} to {percent(score['high'])}"
        table.add_row(_WHO[who], str(score["right"]), str(score["of"]), percent(score["accuracy"]), reach)
    return table


def _items_table(question: str, section: Json) -> Table:
    asked = _asked(section["recall"])
    table = Table(question, "expected", *asked, show_lines=True)
    for item in section["items"]:
        answers = (_marked(item[who]) if item[who] else "" for who in asked)
        table.add_row(escape(item["question"]), escape(item["expected"]), *answers)
    return table


def _asked(recall: Json) -> list[str]:
    return [who for who in _WHO if recall.get(who)]


def _show(console: Console, report: Json) -> None:
    titles = ", ".join(document["title"] for document in report["documents"])
    console.print(f"[bold]{report['adapter_id']}[/]  {escape(titles)}")
    for failed in report["failed_floors"]:
        console.print(f"Degraded: {sentence_of(failed)}", style="yellow", markup=False)
    for document in report["documents"]:
        if document["id"] in report["stale_documents"]:
            console.print(f"Stale: {document['title']} ({document['id']}) was replaced", style="yellow", markup=False)
    show_recall(console, report)
    if report["recovered"] is not None:
        console.print(
            f"Gain over the base model: {percent(report['recovered'])} of the teacher's, who reads the passage"
        )
    show_retention(console, report)
    if report["coverage"] and report["coverage"]["share"] is not None:
        trained = number(report["pairs"]["trained"])
        console.print(f"Coverage: {trained} pairs ask for {percent(report['coverage']['share'])} of the documents")
        for gap in report["coverage"]["gaps"]:
            missing = f" ({', '.join(gap['missing'])})" if gap["missing"] else ""
            console.print(
                f"  not asked for: {gap['passage_id']}  {gap['sentence']}{missing}", style="dim", markup=False
            )
    _show_missed(console, "missed by the adapter", report)
    if report["old"]:
        _show_missed(console, "missed of what its parent learnt", report["old"])
    _show_lost(console, report)
    seconds = sum(stage["seconds"] for stage in report["stages"])
    written = sum(stage["completion_tokens"] or 0 for stage in report["stages"])
    console.print(f"It took {duration(seconds)}; the engine wrote {number(written)} tokens for it", style="dim")


def _show_missed(console: Console, questions: str, section: Json) -> None:
    missed = [item for item in section["items"] if item["adapter"] and not item["adapter"]["right"]]
    if not missed:
        return
    table = Table(questions, "expected", "its answer", show_lines=True)
    for item in missed:
        table.add_row(escape(item["question"]), escape(item["expected"]), _marked(item["adapter"]))
    console.print(table)


def _show_lost(console: Console, report: Json) -> None:
    lost = (report["retention"] or {}).get("lost")
    if not lost:
        return
    table = Table("lost general prompt", "base model", "adapter", show_lines=True)
    for prompt in lost:
        table.add_row(*(escape(_in_one_line(prompt[name])) for name in ("question", "base", "adapter")))
    console.print(table)


def _save(page: str, file: Path) -> None:
    try:
        file.write_text(page, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be written ({error.strerror}). Give --html another path.") from error


def _marked(answer: Json) -> str:
    text = escape(_in_one_line(answer["answer"]) or "(nothing)")
    return f"[green]✓ {text}[/]" if answer["right"] else f"[red]✗ {text}[/]"


def _in_one_line(text: str) -> str:
    return " ".join(text.split())
