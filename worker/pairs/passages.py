"""Text or Markdown -> passages: pieces that the teacher can hold in its prompt beside a question.

Borders are those of headings, paragraphs and sentences, never inside a sentence. A passage knows its document's title
and the headings above it. A passage that starts with a word that points back ("It", "This custom") is shown with the
sentence before it, and one that starts with an item of a list with the sentence that introduces the list; `focus` is
the part that is its own, whose facts are to be asked.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby

import sentencex
from markdown_it.token import Token

from app.markdown import Headings, first_heading, is_heading, plain, without_front_matter
from worker.pairs.markup import tokens_of
from worker.pairs.words import REMEMBERED

SMALL_MODEL = 300_000_000
MIDDLE_MODEL = 3_000_000_000
LONGEST_SENTENCE = 120
"""Words."""
LONGEST_BYTES = 1200
"""Of such a sentence in UTF-8; no tokenizer makes more tokens of it than that. Keys, data and scripts without blanks
have few words and many tokens."""
BYTES_A_WORD = 8
"""From how many bytes on a word counts as more than one, so that a passage of such words is no longer than others."""

_POINTS_BACK = re.compile(
    r"^(?:(?:in|at|on|from|by|for|since|after|before|during|of|to|with)\s+(?:this|that|these|those)\b"
    r"|(?:it|its|he|his|she|her|hers|they|their|theirs|them|this|that|these|those|such|both|the (?:former|latter|same)"
    r"|here|there|then|another)\b)",
    re.IGNORECASE,
)
_ITEM = "•"
"""What stands between the sentence that introduces a list and the item shown behind it; a border of sentences."""
_ITEM_BEHIND_LEAD = re.compile(rf"(?<=[:：]) {_ITEM} ")
_ABBREVIATION_END = re.compile(r"\b(?:approx|ca|incl|excl|min|max|resp|cf)\.\s*$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a document.

    `text` is what the teacher reads; `focus`, its end or all of it, is what is asked about.
    """

    id: str
    document_id: str
    title: str
    heading: str | None
    text: str
    focus: str

    @property
    def place(self) -> str:
        """Where it stands, in words: "Title (Heading)", either of them, or nothing."""
        if self.title and self.heading and self.heading != self.title:
            return f"{self.title} ({self.heading})"
        return self.title or self.heading or ""


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph, list item, table row or piece of code, as plain text.

    `heading` is the path of headings that it stands under; `section` counts the headings before it; `lead` is what
    introduces the list whose item it begins.
    """

    section: int
    heading: str | None
    text: str
    prose: bool = True
    lead: str = ""


@dataclass(frozen=True, slots=True)
class _Sentence:
    text: str
    lead: str


class _Leads:
    """The sentences that introduce the lists which are open: "You must not do any of these:"."""

    def __init__(self) -> None:
        self._open: list[str] = []
        self._before_list = ""
        self._begins_item = False

    def see(self, token: Token) -> None:
        """Follow lists as they open and close."""
        match token.type:
            case "bullet_list_open" | "ordered_list_open":
                outer = self._open[-1] if self._open else ""
                self._open.append(f"{outer} {self._before_list}".strip())
            case "bullet_list_close" | "ordered_list_close":
                self._open.pop()
                self._before_list = ""
            case "list_item_open":
                self._begins_item = True
            case "heading_open" | "table_open" | "fence" | "code_block" | "hr" | "blockquote_open":
                self._before_list = ""
            case _:
                pass

    def of(self, paragraph: str) -> str:
        """What introduces the list whose item the paragraph begins, or nothing."""
        lead = self._open[-1] if self._open and self._begins_item else ""
        self._begins_item = False
        introduces = paragraph.endswith((":", "："))
        self._before_list = _cut(sentences_of(paragraph)[-1])[-1] if introduces else ""
        return lead


def words_for(parameters: int) -> int:
    """Aimed-at words of a passage for a base model of that many parameters.

    A model of 135M answers 7 of 8 questions from a single sentence and 3 of 8 from a page of 120 words.
    """
    if parameters < SMALL_MODEL:
        return 1
    return 60 if parameters < MIDDLE_MODEL else 150


def read_title(text: str) -> str | None:
    """The document's own first top heading, for a document posted without a title."""
    return first_heading(_normalise(text), levels="1")


def split(document_id: str, title: str, text: str, words: int, first: int = 1) -> list[Passage]:
    """Cut a document into passages of about `words` words (at least one sentence); ids count from `first`."""
    passages: list[Passage] = []
    for heading, sentences in _sections(text, title):
        texts = [sentence.text for sentence in sentences]
        for start, stop in _runs(texts, words):
            focus = " ".join(texts[start:stop])
            begin = start
            while begin > 0 and start - begin < 2 and _POINTS_BACK.match(texts[begin]):
                begin -= 1
            lead = sentences[begin].lead
            shown = " ".join([*([lead, _ITEM] if lead else []), *texts[begin:stop]])
            number = first + len(passages)
            passages.append(Passage(f"p{number:04d}", document_id, title, heading, shown, focus))
    return passages


def blocks(text: str, title: str) -> Iterator[Block]:
    """The document's blocks in order, Markdown's marks taken off."""
    headings, leads = Headings(), _Leads()
    header: list[str] = []
    row: list[str] = []
    opening: Token | None = None

    def block(text: str, prose: bool = True, lead: str = "") -> Block:
        return Block(headings.count, headings.path(title), text, prose, lead)

    for token in tokens_of(_normalise(text)):
        leads.see(token)
        match token.type:
            case "heading_open" | "th_open" | "td_open":
                opening = token
            case "thead_open":
                header = []
            case "tr_open":
                row = []
            case "tr_close":
                line = _table_row(header, row)
                if line:
                    yield block(line, prose=False)
            case "inline":
                words = plain(token)
                inside = opening.type if opening else ""
                if opening and inside == "heading_open" and is_heading(opening, token):
                    headings.enter(opening, token)
                elif inside == "th_open":
                    header.append(words)
                elif inside == "td_open":
                    row.append(words)
                elif words:
                    yield block(words, lead=leads.of(words))
                opening = None
            case "fence" | "code_block":
                if token.content.strip():
                    yield block(token.content.strip("\n"), prose=False)
            case _:
                pass


@lru_cache(maxsize=REMEMBERED)
def sentences_of(text: str) -> tuple[str, ...]:
    """Sentences of a paragraph, each on one line. Abbreviations, decimals and initials do not end one."""
    found: list[str] = []
    parts = _ITEM_BEHIND_LEAD.split(" ".join(text.split()))
    for piece in (piece for part in parts for piece in sentencex.segment("en", part)):
        sentence = piece.strip()
        if found and (_ABBREVIATION_END.search(found[-1]) or not re.search(r"\w", sentence)):
            found[-1] = f"{found[-1]} {sentence}"
        elif sentence:
            found.append(sentence)
    return tuple(found)


def _normalise(text: str) -> str:
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").replace("\x00", "")
    return without_front_matter(lines)


def _sections(text: str, title: str) -> Iterator[tuple[str | None, list[_Sentence]]]:
    """(heading, sentences) for the blocks between one heading and the next; code and a table's row are one each."""
    for _, section in groupby(blocks(text, title), key=lambda block: block.section):
        found = list(section)
        yield found[0].heading, [sentence for block in found for sentence in _sentences_in(block)]


def _sentences_in(block: Block) -> Iterator[_Sentence]:
    whole = sentences_of(block.text) if block.prose else [block.text]
    for number, piece in enumerate(piece for sentence in whole for piece in _cut(sentence)):
        yield _Sentence(piece, "" if number else block.lead)


def _cut(sentence: str) -> list[str]:
    """A "sentence" too long for a prompt (a list without full stops, a page of code) in parts, at blanks if it can."""
    starts, words = [0], 0
    for word in re.finditer(r"\S+", sentence):
        is_full = words == LONGEST_SENTENCE or len(sentence[starts[-1] : word.end()].encode()) > LONGEST_BYTES
        if words and is_full:
            starts.append(word.start())
            words = 0
        words += 1
    parts = (sentence[start:stop].strip() for start, stop in zip(starts, [*starts[1:], len(sentence)], strict=True))
    return [piece for part in parts for piece in _within(part)]


def _within(text: str) -> Iterator[str]:
    """The text in pieces of up to `LONGEST_BYTES`, whole characters each."""
    rest = text.encode()
    while len(rest) > LONGEST_BYTES:
        piece = rest[:LONGEST_BYTES].decode(errors="ignore")
        yield piece
        rest = rest[len(piece.encode()) :]
    yield rest.decode()


def _words_of(sentence: str) -> int:
    return max(len(sentence.split()), len(sentence.encode()) // BYTES_A_WORD)


def _runs(sentences: list[str], words: int) -> Iterator[tuple[int, int]]:
    """Borders of runs of sentences of about `words` words; a short tail joins the run before it."""
    lengths = [_words_of(sentence) for sentence in sentences]
    start, size, runs = 0, 0, list[tuple[int, int]]()
    for index, length in enumerate(lengths):
        if size and size + length / 2 > words:
            runs.append((start, index))
            start, size = index, 0
        size += length
    if runs and size < words / 3:
        start = runs.pop()[0]
    yield from [*runs, (start, len(sentences))]


def _table_row(header: list[str], row: list[str]) -> str:
    """A row as a sentence that names its columns: "Part: seal; Price: 12 marks."; no full stop comes twice."""
    cells = [f"{name}: {cell}" if name else cell for name, cell in zip(header, row, strict=False) if cell]
    line = "; ".join(cells)
    return line if not line or line.endswith((".", "!", "?", "…")) else f"{line}."
