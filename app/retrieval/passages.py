"""A document's text, cut into the passages that are found for a question and put into a prompt.

They are longer than those that a small base model learns from (its teacher reads one sentence at a time), and stay as
the document has them: a list is a list, a table a table. Borders are those of headings, blocks, sentences and lines.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Final

import sentencex
from markdown_it.token import Token

from app.markdown import PARSER, Headings, is_heading, without_front_matter

LONGEST: Final = 800
"""Characters that a passage aims at, about 130 English words; a short rest may come on top."""

_AT_BLANKS: Final = re.compile(rf"\S.{{0,{LONGEST - 1}}}(?!\S)|\S{{1,{LONGEST}}}", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a document, with the path of headings that it stands under."""

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
    section: int
    heading: str | None
    text: str
    is_prose: bool


def cut(document_id: str, title: str, text: str) -> list[Passage]:
    """The document as passages, in its order. A heading that is the document's title is not told twice."""
    passages: list[Passage] = []
    for _, blocks in groupby(_blocks(text, title), key=lambda block: block.section):
        section = list(blocks)
        passages += [Passage(document_id, title, section[0].heading, piece) for piece in _packed(section)]
    return passages


def _blocks(text: str, title: str) -> Iterator[_Block]:
    """The outermost blocks of the Markdown, as the text has them, and the headings above them."""
    text = without_front_matter(text)
    lines = text.split("\n")
    headings = Headings()
    opening: Token | None = None

    def block(text: str, is_prose: bool) -> _Block:
        return _Block(headings.count, headings.path(title), text, is_prose)

    for token in PARSER.parse(text):
        if token.type == "heading_open":
            opening = token if token.level == 0 else None
        elif token.type == "inline" and opening is not None:
            if is_heading(opening, token):
                headings.enter(opening, token)
            else:
                yield block(" ".join(token.content.split()), is_prose=True)
            opening = None
        elif token.level == 0 and token.map and (source := "\n".join(lines[slice(*token.map)]).strip("\n")).strip():
            is_prose = token.type == "paragraph_open"
            yield block(" ".join(source.split()) if is_prose else source, is_prose)


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
