"""Markdown -> tokens of what its reader sees: without HTML's tags and comments, and without what is struck through."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from markdown_it import MarkdownIt
from markdown_it.token import Token

_PARSER: Final = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).disable("html_block")
_BLOCKS: Final = MarkdownIt("commonmark", {"html": True}).enable("table").disable("inline")
_TAG: Final = re.compile(r"<(/?)([a-z][a-z0-9-]*)", re.IGNORECASE)
_NEVER_CLOSED: Final = frozenset({"br", "hr", "img", "input", "wbr"})
_WITHIN_WORDS: Final = frozenset(
    {"a", "abbr", "b", "bdi", "bdo", "big", "cite", "code", "data", "del", "dfn", "em", "font", "i", "ins", "kbd"}
    | {"mark", "q", "s", "samp", "small", "span", "strong", "sub", "sup", "time", "tt", "u", "var", "wbr"}
)
"""Tags that part no words: "H<sub>2</sub>O"."""


def tokens_of(text: str) -> list[Token]:
    """The tokens of a text. What looks like a tag and is closed nowhere, as in "give your <name>", is text."""
    tokens = _PARSER.parse(_without_comment_blocks(text))
    tags = _NEVER_CLOSED | {
        name for token in tokens for child in token.children or [] for closing, name in [_tag(child)] if closing
    }
    for token in tokens:
        token.children = list(_seen(token.children or [], tags))
    return tokens


def _without_comment_blocks(text: str) -> str:
    """The text without comments that begin a line; only these may hold empty lines."""
    if "<!--" not in text:
        return text
    lines = text.split("\n")
    for token in _BLOCKS.parse(text):
        comment, end, rest = token.content.partition("-->")
        if token.type == "html_block" and token.map and end and comment.lstrip().startswith("<!--"):
            start, stop = token.map
            lines[start:stop] = [rest.replace("\n", " "), *[""] * (stop - start - 1)]
    return "\n".join(lines)


def _tag(token: Token) -> tuple[bool, str]:
    """Whether it closes an element, and which; no name where it is no tag."""
    found = _TAG.match(token.content) if token.type == "html_inline" else None
    return (found[1] == "/", found[2].lower()) if found else (False, "")


def _seen(inline: Sequence[Token], tags: frozenset[str]) -> Iterator[Token]:
    struck = 0
    for token in inline:
        struck += {"s_open": 1, "s_close": -1}.get(token.type, 0)
        if struck:
            continue
        if token.type == "html_inline":
            _, name = _tag(token)
            if not name or name in tags:
                token.content = "" if not name or name in _WITHIN_WORDS else " "
        yield token
