"""The floors of an adapter: what it must still know, and what it must have learnt, to be put behind its alias.

An adapter that is below one of them is kept and can be asked by its id, but is marked degraded. So is one of
which a floor cannot be measured (no held-out questions, a base model that answers no general question right), if the
request set that floor itself; the installation's own do not fail then.
"""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, Field

from app.jobs.settings import ResolvedSettings


class FailedFloor(BaseModel):
    """A floor that an adapter is below."""

    floor: Literal["min_retention", "min_recall"] = Field(description="The setting that asks for it.")
    of: Literal["new", "old"] | None = Field(
        None, description="Of a child's min_recall: whose questions, the new documents' or (old) its parent's."
    )
    wanted: float = Field(description="The least share, from 0 to 1.", examples=[0.9])
    found: float | None = Field(
        description="The share that examine found; null where it could not be measured.", examples=[0.84]
    )


_FOUND = {
    ("min_retention", None): "It answers {found:.1%} as many general questions right as the base model does",
    ("min_recall", None): "It answers {found:.1%} of the held-out questions right",
    ("min_recall", "new"): "It answers {found:.1%} of the new documents' held-out questions right",
    ("min_recall", "old"): "It answers {found:.1%} of its parent's held-out questions right",
}

_UNMEASURED = {
    ("min_retention", None): "the base model answers no general question right",
    ("min_recall", None): "no question was held out",
    ("min_recall", "new"): "no question of the new documents was held out",
}


def failed_floors(report: Mapping[str, Any], settings: ResolvedSettings) -> list[FailedFloor]:
    """The floors of `settings` that the adapter of the report is below.

    - `min_retention`: the adapter's right answers to the general questions, as a share of the base model's.
    - `min_recall`: the adapter's right answers to the held-out questions, closed-book, as a share of all of them; of a
      child to the new documents' and to its parent's, each by itself, so that neither can hide the other. A parent
      without held-out questions leaves nothing to be measured by.
    """
    retention = report.get("retention") or {}
    old = report.get("old")
    found: list[tuple[str, str | None, float | None]] = [
        ("min_retention", None, _share(retention.get("adapter_right"), retention.get("base_right"))),
        ("min_recall", "new" if old else None, _recall(report)),
    ]
    if old and (share := _recall(old)) is not None:
        found.append(("min_recall", "old", share))
    wanted = {"min_retention": settings.min_retention, "min_recall": settings.min_recall}
    return [
        FailedFloor.model_validate(
            {"floor": floor, "of": of, "wanted": wanted[floor], "found": None if share is None else round(share, 4)}
        )
        for floor, of, share in found
        if (floor in settings.named_floors and wanted[floor] > 0 if share is None else share < wanted[floor])
    ]


def sentence_of(failed: Mapping[str, Any]) -> str:
    """A failed floor in words. `failed`: as the API gives it."""
    which = failed["floor"], failed.get("of")
    if failed["found"] is None:
        found = f"Not measured: {_UNMEASURED[which]}"
    else:
        found = _FOUND[which].format(found=failed["found"])
    return f"{found}; at least {failed['wanted']:.1%} were asked for ({failed['floor']})."


def _recall(section: Mapping[str, Any]) -> float | None:
    counted = (section.get("recall") or {}).get("adapter") or {}
    return _share(counted.get("right"), counted.get("of"))


def _share(right: int | None, of: int | None) -> float | None:
    return right / of if right is not None and of else None
