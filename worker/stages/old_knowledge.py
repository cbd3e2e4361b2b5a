"""The report's section `old`: what a child still knows of what its parent knew."""

import json
from typing import Any

from worker.stages import Parent


def section(parent: Parent, recall: dict[str, Any], items: list[dict[str, Any]]) -> dict[str, Any]:
    """The report's section on the parent's held-out pairs.

    Args:
        parent: whose report tells what it answered itself.
        recall: right answers to them by who gave them, as in the report's own `recall`.
        items: the questions with everyone's answers, as in the report's own `items`.

    Returns:
        {"adapter_id", "recall", "items"}. Where the parent's report has the question, the item has the parent's answer
        as `parent`; `recall["parent"]` counts those.
    """
    report = json.loads((parent.artefacts / "examine" / "report.json").read_text(encoding="utf-8"))
    answered = [*report.get("items", []), *report.get("old", {}).get("items", [])]
    recorded = {item["question"]: item["adapter"] for item in answered}
    told = [{**item, "parent": recorded[item["question"]]} if item["question"] in recorded else item for item in items]
    known = [item["parent"] for item in told if "parent" in item]
    figure = {"right": sum(answer["right"] for answer in known), "of": len(known)}
    return {"adapter_id": parent.adapter_id, "recall": {**recall, "parent": figure}, "items": told}
