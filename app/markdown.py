"""Markdown as all who cut a document read it: one parser, and what counts as a heading."""

import re
from typing import Final

from markdown_it import MarkdownIt
from markdown_it.token import Token

PARSER: Final = MarkdownIt("commonmark", {"html": False}).enable("table")

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
