"""From bytes to text, words and a title."""

import time

import pytest

from app.documents.text import count_words, decode, make_title
from app.errors import InvalidDocument


def test_line_ends_and_byte_order_marks_go() -> None:
    assert decode(b"\xef\xbb\xbfone\r\ntwo\rthree\n", "file") == "one\ntwo\nthree\n"


def test_a_few_control_characters_do_not_make_a_text_binary() -> None:
    assert decode(b"page one\x0cpage two \x1b[0m " + b"word " * 50, "file")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("It was built in 1821.", 5),
        ("don't — stop", 3),
        ("灯台は千八百年に", 8),
        ("ประภาคารนี้", 11),
        ("등대는 1821년에 세워졌다", 3),
        ("- — * # ___ ...", 0),
    ],
)
def test_words_are_counted_in_every_script(text: str, words: int) -> None:
    if words:
        assert count_words(text, 1, "text") == words
    else:
        with pytest.raises(InvalidDocument, match="has 0 words; it takes at least 1"):
            count_words(text, 1, "text")


def test_front_matter_counts_for_nothing() -> None:
    assert count_words("---\ntitle: The mill\n---\nIt is red.", 1, "text") == 3


@pytest.mark.parametrize(
    ("text", "file_name", "title"),
    [
        ("intro\n\n## The *Lamp* ##\n\nmore", "x.md", "The Lamp"),
        ("# The **Corrin** [Lamp](http://x.y)\n\nIt burns.", "x.md", "The Corrin Lamp"),
        ("The lighthouse\n=====\n\n# Its lamp", None, "The lighthouse"),
        ("```sh\n# needs root\n```\n\n## Setting up", None, "Setting up"),
        ("> # Quoted\n\n#\n\nIt was sold.\n---\n\n## The mill", None, "The mill"),
        ("no heading here", "reports/Annual report 2031.final.md", "Annual report 2031.final"),
        ("no heading here", r"C:\docs\lamp.txt", "lamp"),
        (
            "#hashtag first, and then some more words than eight",
            None,
            "#hashtag first, and then some more words than …",
        ),
        ("just these words", None, "just these words"),
        ("---\ntitle: x\n# no heading\n---\njust these words", None, "just these words"),
        ("just these words", ".md", "just these words"),
        ("# " + "long " * 100, None, ("long " * 40).strip()),
        ("a\tb\x07 c", None, "a b c"),
    ],
)
def test_a_title_is_found(text: str, file_name: str | None, title: str) -> None:
    assert make_title(text, file_name) == title


@pytest.mark.parametrize(
    "text", ["# " + "# " * 20_000 + "x", "# x\n" * 20_000, "# " + "[" * 40_000, "# " + "![" * 20_000]
)
def test_headings_made_to_be_slow_are_read_at_once(text: str) -> None:
    began = time.process_time()
    assert make_title(text, "x.md")
    assert time.process_time() - began < 1
