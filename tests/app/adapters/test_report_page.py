"""The report as a page: whole without a network, safe with any text, and the same to read for everyone."""

import re
from html.parser import HTMLParser
from typing import Any

import pytest

from app.adapters import report_page
from tests.app.adapters.test_reports import recall, report_of

EVIL = "\"'><img src=x onerror=alert(1)>{{ 7 * 7 }}</style>"
VOID = {"meta", "br", "img"}


class Reader(HTMLParser):
    """Checks that elements are closed in order, and notes them."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.text.append(data)


def read(found: dict[str, Any]) -> Reader:
    reader = Reader()
    reader.feed(report_page.html(report_of(found)))
    reader.close()
    assert reader.open == []
    return reader


def whole(text: str = "Pellrow") -> dict[str, Any]:
    """Everything that a report can have, with `text` wherever users or models write."""
    right, wrong = ({"answer": text, "right": truth} for truth in (True, False))
    found = {"found": True, "passages": [{"passage_id": "p1", "score": 1.5}]}
    item = {
        "question": f"Who? {text}",
        "expected": text,
        "passage_id": "p0001",
        "document_id": "doc_1",
        "document": text,
        "base": wrong,
        "retrieval": {**right, **found},
        "teacher": right,
        "adapter": right,
    }
    retention: dict[str, Any] = {"prompts": 200, "base_right": 103, "adapter_right": 101, "lost_points": 1.0}
    retention |= {"drift": {"nats": 0.05, "same_first_choice": 0.9}}
    retention |= {"lost": [{"question": f"Hot? {text}", "base": text, "adapter": text}] * 3}
    scores = recall(1, 11, 9)["recall"] | {"retrieval": {"right": 8, "of": 12}}
    old = {**item, "question": "Who before?", "parent": right}
    return {
        "old": {"adapter_id": "adp_0", "recall": {**scores, "parent": {"right": 9, "of": 12}}, "items": [old]},
        "recall": scores,
        "items": [item, {**item, "question": "When?", "adapter": wrong}],
        "retention": retention,
        "loss": [[1, 1.5, 0.2], [2, 0.5, 0.1]],
        "versions": {"torch": text},
    }


def test_what_was_forgotten_stands_beside_what_was_won() -> None:
    text = read(whole()).text
    assert "Lost: 3, and won: 1" in text
    assert "103 of 200 before, 101 after; 95 % interval −3.2 to +1.2" in text


def test_a_page_needs_nothing_else() -> None:
    reader = read(whole())
    assert {"script", "link", "img", "iframe", "object", "form"}.isdisjoint({tag for tag, _ in reader.seen})
    assert not [attributes for _, attributes in reader.seen if {"src", "href", "xlink:href"} & attributes.keys()]
    page = report_page.html(report_of(whole()))
    assert not re.search(r"url\(|@import|https?:", page)
    assert ("meta", {"http-equiv": "Content-Security-Policy", "content": report_page.POLICY}) in reader.seen


def test_the_page_tells_what_the_adapter_lacks() -> None:
    text = " ".join("".join(read(whole()).text).split())
    assert "Degraded. It answers 25.0% of its parent's held-out questions right" in text
    assert "Stale. Replaced since: The Hollin Museum." in text
    assert "It has 99 halls. p99 99" in text


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("text/html,application/xhtml+xml,*/*;q=0.8", True),
        ("text/html", True),
        ("Text/HTML; charset=utf-8; q=0.9, application/json;q=0.5", True),
        ("text/*, application/*;q=0.1", True),
        ("application/json, text/html;q=0.1", False),
        ("text/html, application/json", False),
        ("text/html;q=0, */*", False),
        ("text/html;q=much", False),
        ("*/*", False),
        ("", False),
    ],
)
def test_the_page_is_for_who_likes_it_better_than_json(accept: str, wanted: bool) -> None:
    assert report_page.is_wanted(accept) is wanted


def test_nobodys_text_becomes_markup() -> None:
    plain, evil = read(whole()), read(whole(EVIL))
    assert [tag for tag, _ in evil.seen] == [tag for tag, _ in plain.seen]
    assert [attributes.keys() for _, attributes in evil.seen] == [attributes.keys() for _, attributes in plain.seen]
    assert EVIL in "".join(evil.text)


def test_right_and_wrong_are_told_without_colour() -> None:
    text = "".join(read(whole()).text)
    assert "Missed by the adapter: 1" in text
    assert "Known by the adapter: 1" in text
    assert text.index("When?") < text.index("Who?"), "what it missed comes first"
    assert "Known of what its parent learnt: 1" in text
    assert text.count("✗") == text.count("wrong:") == 4
    assert text.count("✓") == text.count("right:") == 9


def test_figures_are_those_of_the_report() -> None:
    text = " ".join("".join(read(whole()).text).split())
    for figure in (
        "9 of 12",
        "95 % interval 47 % to 91 %",
        "80 %",
        "−1.0 points",
        "103 of 200",
        "0.0500 nats",
        "10 near-duplicate",
    ):
        assert figure in text, figure


def test_plots_are_drawn_and_named() -> None:
    names = [attributes.get("aria-label") for tag, attributes in read(whole()).seen if tag == "svg"]
    assert "Adapter: 9 of 12" in names
    assert "Before: 103 of 200" in names
    assert "distil: 120 s" in names
    assert "Loss by step, in nats a token" in names


def test_a_report_with_little_in_it_is_a_page_too() -> None:
    for found in ({}, {"drift": 0.25}, {"recall": {"adapter": {"right": 0, "of": 0}}}, recall(0, 0, 0)):
        reader = read(found)
        assert "The Hollin Museum" in "".join(reader.text)
