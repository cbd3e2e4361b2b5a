"""A document's text, cut into the passages that are found for a question and put into a prompt.

They are longer than those that a small base model learns from (its teacher reads one sentence at a time), and stay as
the document has them: a list is a list, a table a table. Borders are those of headings, blocks, sentences and lines.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import sentencex
from markdown_it.token import Token

from app.markdown import PARSER, is_heading, without_front_matter

LONGEST: Final = 800
"""Characters that a passage aims at, about 130 English words; a short rest may come on top."""

_AT_BLANKS: Final = re.compile(rf"\S.{{0,{LONGEST - 1}}}(?!\S)|\S{{1,{LONGEST}}}", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a document, with the heading that it stands under."""

    document_id: str
    title: str
    heading: str | None
    text: str

    @property
    def shown(self) -> str:
        """The passage as it is ranked and as the model reads it: where it stands, then its text."""
        place = f"{self.title} ({self.heading})" if self.heading else self.title
        return f"{place}. {self.text}"


@dataclass(frozen=True, slots=True)
class _Block:
    heading: str | None
    text: str
    is_prose: bool


def cut(document_id: str, title: str, text: str) -> list[Passage]:
    """The document as passages, in its order. A heading that is the document's title is not told twice."""
    passages: list[Passage] = []
    section: list[_Block] = []
    for block in [*_blocks(text), None]:
        if section and (block is None or block.heading != section[0].heading):
            heading = None if section[0].heading == title else section[0].heading
            passages += [Passage(document_id, title, heading, piece) for piece in _packed(section)]
            section = []
        if block is not None:
            section.append(block)
    return passages


def _blocks(text: str) -> Iterator[_Block]:
    """The outermost blocks of the Markdown, as the text has them, and their nearest heading."""
    text = without_front_matter(text)
    lines = text.split("\n")
    heading: str | None = None
    opening: Token | None = None
    for token in PARSER.parse(text):
        if token.type == "heading_open":
            opening = token if token.level == 0 else None
        elif token.type == "inline" and opening is not None:
            if is_heading(opening, token):
                heading = _plain(token) or heading
            else:
                yield _Block(heading, " ".join(token.content.split()), is_prose=True)
            opening = None
        elif token.level == 0 and token.map and (source := "\n".join(lines[slice(*token.map)]).strip("\n")).strip():
            is_prose = token.type == "paragraph_open"
            yield _Block(heading, " ".join(source.split()) if is_prose else source, is_prose)


def _plain(heading: Token) -> str:
    parts = (" " if child.type == "softbreak" else child.content for child in heading.children or [])
    return " ".join("".join(parts).split())


def _packed(section: list[_Block]) -> list[str]:
    """The blocks of a section in pieces of up to `LONGEST` characters; a short last one joins the one before it."""
    packed: list[str] = []
    for separator, piece in (part for block in section for part in _parts(block)):
        if packed and len(packed[-1]) + len(separator) + len(piece) <= LONGEST:
            packed[-1] += separator + piece
        else:
            packed.append(piece)
            last = separator
    if len(packed) > 1 and len(packed[-1]) < LONGEST / 4:
        packed[-2:] = [packed[-2] + last + packed[-1]]
    return packed


def _parts(block: _Block) -> Iterator[tuple[str, str]]:
    """The block in parts that fit into a passage, each with what stands before it."""
    if len(block.text) <= LONGEST:
        yield "\n\n", block.text
        return
    sentences = (sentence.strip() for sentence in sentencex.segment("en", block.text))
    parts = sentences if block.is_prose else block.text.split("\n")
    separator = "\n\n"
    for part in filter(str.strip, parts):
        for piece in _AT_BLANKS.findall(part) if len(part) > LONGEST else [part]:
            yield separator, piece
            separator = " "
        separator = " " if block.is_prose else "\n"
