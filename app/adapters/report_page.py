"""An adapter's report as a page for people: one file that needs nothing else, neither scripts nor fonts nor a network.

Questions and answers are users' text and a model's: the template escapes all of it, and the policy allows nothing that
could run or be fetched.
"""

import re
from collections.abc import Mapping
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from app.adapters.plots import loss_curve
from app.adapters.report_schemas import Recall, Report
from app.figures import duration, number, percent, signed
from app.intervals import wilson
from app.jobs.floors import sentence_of

POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"
HEADERS: Final[Mapping[str, str]] = {"Content-Security-Policy": POLICY, "Vary": "Accept"}

_QUALITY: Final = re.compile(r"[01](?:\.\d{0,3})?")
WHO: Final[Mapping[str, str]] = {
    "base": "Base model",
    "retrieval": "Base model with retrieval",
    "teacher": "Teacher",
    "parent": "Parent",
    "adapter": "Adapter",
}


def html(report: Report) -> str:
    """The page."""
    return _PAGE.render(
        report=report,
        policy=POLICY,
        who=_who,
        curve=loss_curve(report.loss),
        wilson=wilson,
        failed=[sentence_of(failed.model_dump()) for failed in report.failed_floors],
        total_seconds=sum(stage.seconds for stage in report.stages),
    )


def is_wanted(accept: str) -> bool:
    """Whether the header `Accept` likes the page better than JSON."""
    qualities: dict[str, float] = {}
    for entry in accept.lower().split(","):
        kind, *parameters = (part.strip() for part in entry.split(";"))
        quality = next((part[2:] for part in parameters if part.startswith("q=")), "1")
        qualities[kind] = float(quality) if _QUALITY.fullmatch(quality) else 0.0

    def of(*ranges: str) -> float:
        return next((qualities[each] for each in ranges if each in qualities), 0.0)

    return of("text/html", "text/*", "*/*") > of("application/json", "application/*", "*/*")


def _who(recall: Recall) -> dict[str, str]:
    """Those who were asked, by name, as they are called."""
    return {name: label for name, label in WHO.items() if getattr(recall, name, None)}


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("app.adapters"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(percent=percent, duration=duration, number=number, signed=signed)
    return environment


_PAGE: Final = _environment().get_template("report.html")
