"""Markdown as all who cut a document read it: one parser, what counts as a heading, and what stands under which."""

import re
from itertools import pairwise
from typing import Final

from markdown_it import MarkdownIt
from markdown_it.token import Token

PARSER: Final = MarkdownIt("commonmark", {"html": False}).enable("table")

_TITLE_WITHIN: Final = 10_000
"""Characters from a text's start in which a heading may be its title."""

_ENDS: Final = re.compile(r"[.!…:;。！](?:[\"'”’»)*_`]|\[\^?\w+\])*$")
_FRONT_MATTER: Final = re.compile(
    r"\A\ufeff?---[ \t]*\n(?:(?:[a-z][\w-]*[ \t]*:|[ \t]+\S|-[ \t]|#).*\n|[ \t]*\n)*?---[ \t]*(?:\n|\Z)"
)


def without_front_matter(text: str) -> str:
    """A text without the YAML between rows of dashes that some tools (Jekyll, Hugo, Obsidian) have it begin with."""
    return _FRONT_MATTER.sub("", text, count=1)


def is_heading(opening: Token, inline: Token) -> bool:
    """Whether what CommonMark takes for a heading is one: a `heading_open` and the `inline` behind it.

    A row of dashes right below a paragraph, which many put between notes, makes it a heading by the book. One of
    several lines, or that ends as a sentence does, is a paragraph to whoever wrote it. (A row of = means a heading.)
    """
    text = inline.content.rstrip()
    return opening.markup != "-" or ("\n" not in text and _ENDS.search(text) is None)


def plain(inline: Token) -> str:
    """An inline token's words on one line: links, emphasis and images give their text."""
    breaks = {"softbreak", "hardbreak"}
    parts = (" " if child.type in breaks else child.content for child in inline.children or [])
    return " ".join("".join(parts).split())


def first_heading(text: str, levels: str = "123456") -> str | None:
    """The first heading of those levels near the start of the text, in plain words; none that a quote or list holds."""
    for opening, inline in pairwise(PARSER.parse(text[:_TITLE_WITHIN])):
        is_outermost = opening.type == "heading_open" and opening.level == 0
        if is_outermost and opening.tag[1] in levels and is_heading(opening, inline) and plain(inline):
            return plain(inline)
    return None


class Headings:
    """The headings that a place in a text stands under, the outermost one first.

    Attributes:
        count: how many have been entered, which tells sections of the same name apart.
    """

    def __init__(self) -> None:
        self.count = 0
        self._open: list[tuple[str, str]] = []

    def enter(self, opening: Token, inline: Token) -> None:
        """Go on below a heading: it ends those of its own level and of deeper ones."""
        self.count += 1
        self._open = [(tag, text) for tag, text in self._open if tag < opening.tag]
        self._open.append((opening.tag, plain(inline)))

    def path(self, title: str) -> str | None:
        """Where the place is, as "Winter > Prices"; the heading that is the document's title is left out."""
        return " > ".join(text for _, text in self._open if text not in {"", title}) or None
