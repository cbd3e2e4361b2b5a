"""The report's section `old`: what a child still knows of what its parent knew."""

import json
from typing import Any

from worker.stages import Parent


def section(parent: Parent, recall: dict[str, Any], items: list[dict[str, Any]]) -> dict[str, Any]:
    """The report's section on the parent's held-out pairs.

    Args:
        parent: whose report tells what it answered itself.
        recall: right answers to them by who gave them, as in the report's own `recall`.
        items: the questions with everyone's answers, as in the report's own `items`; a passage's id begins with the id
            of the adapter that it was cut for.

    Returns:
        {"adapter_id", "recall", "items"}. Where the parent's report has the question about the same passage, the item
        has the parent's answer as `parent`; `recall["parent"]` counts those.
    """
    report = json.loads((parent.artefacts / "examine" / "report.json").read_text(encoding="utf-8"))
    recorded = {
        (f"{prefix}{item['passage_id']}", item["question"]): item["adapter"]
        for prefix, answered in ((f"{parent.adapter_id}/", report), ("", report.get("old", {})))
        for item in answered.get("items", [])
        if "passage_id" in item
    }
    places = [(item["passage_id"], item["question"]) for item in items]
    told = [
        {**item, "parent": recorded[place]} if place in recorded else item
        for place, item in zip(places, items, strict=True)
    ]
    known = [item["parent"] for item in told if "parent" in item]
    figure = {"right": sum(answer["right"] for answer in known), "of": len(known)}
    return {"adapter_id": parent.adapter_id, "recall": {**recall, "parent": figure}, "items": told}
