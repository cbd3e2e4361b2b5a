"""From bytes to the text of a document, or to the reason why it cannot be taught."""

import re
from typing import Final

from app.errors import InvalidDocument
from app.markdown import first_heading, without_front_matter

# A run of letters is a word; in scripts that are written without spaces, each character counts as one.
_WORD: Final = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]|[^\W_]+")
_MAX_TITLE: Final = 200

_BINARY_KINDS: Final = {
    b"%PDF": "a PDF",
    b"PK\x03\x04": "a ZIP archive (as .docx, .xlsx and .epub files are)",
    b"\xd0\xcf\x11\xe0": "an old Office file",
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"\x1f\x8b": "a gzip archive",
}
_WAY_OUT: Final = "Send its text as UTF-8 (.txt or .md)."


def decode(data: bytes, field: str) -> str:
    """The text of a document: UTF-8, with or without a byte order mark, line ends made `\\n`.

    Raises:
        InvalidDocument: it is binary, or not UTF-8.
    """
    for magic, kind in _BINARY_KINDS.items():
        if data.startswith(magic):
            raise InvalidDocument(f"The document is {kind}, not text. {_WAY_OUT}", field=field)
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InvalidDocument(f"The document is UTF-16 text, not UTF-8. {_WAY_OUT}", field=field)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        place = f"byte {error.start:,} (0x{data[error.start]:02x})"
        raise InvalidDocument(
            f"The document is not UTF-8 text: {place} does not fit. {_WAY_OUT}", field=field
        ) from None
    return clean(text, field)


def clean(text: str, field: str) -> str:
    """`text` with line ends made `\\n`.

    Raises:
        InvalidDocument: it holds characters that no text has.
    """
    if "\0" in text:
        place = f"character {text.index(chr(0)):,}"
        raise InvalidDocument(f"The document is binary: {place} is NUL. {_WAY_OUT}", field=field)
    if any(0xD800 <= ord(character) <= 0xDFFF for character in text):
        raise InvalidDocument("The document holds half of a surrogate pair, which is no character.", field=field)
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    strange = sum(character < " " and character not in "\t\n\f\v" for character in text)
    if strange > len(text) / 100:
        raise InvalidDocument(
            f"The document looks binary: {strange:,} of {len(text):,} characters are control characters. {_WAY_OUT}",
            field=field,
        )
    return text


def count_words(text: str, minimum: int, field: str) -> int:
    """How many words the text has.

    Raises:
        InvalidDocument: fewer than can be taught.
    """
    if not text:
        raise InvalidDocument("The document is empty. Send text to learn from.", field=field)
    if not text.strip():
        raise InvalidDocument("The document holds nothing but white space. Send text to learn from.", field=field)
    words = len(_WORD.findall(without_front_matter(text)))
    if words < minimum:
        raise InvalidDocument(
            f"The document has {words} word{'s' * (words != 1)}; it takes at least {minimum} to ask anything about it "
            "(INGRAIN_MIN_DOCUMENT_WORDS).",
            field=field,
        )
    return words


def make_title(text: str, file_name: str | None) -> str:
    """A title for a document that came without: its first heading, its file's name, or its first words."""
    text = without_front_matter(text)
    heading = _one_line(first_heading(text) or "")
    if heading:
        return heading
    if file_name:
        stem = re.split(r"[/\\]", file_name)[-1].rsplit(".", 1)[0]
        if _one_line(stem):
            return _one_line(stem)
    return first_words(text)


def first_words(text: str) -> str:
    """What a document is listed under that has neither a heading nor a file's name; it names no subject."""
    words = without_front_matter(text).split()
    return _one_line(" ".join(words[:8])) + (" …" if len(words) > 8 else "")


def _one_line(text: str) -> str:
    printable = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(printable.split())[:_MAX_TITLE].strip()
