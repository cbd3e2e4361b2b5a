"""What counts as a heading: a row of dashes below a paragraph does not make one of it."""

import time

import pytest

from app.markdown import PARSER, Headings, is_heading, plain, without_front_matter


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# The mill", True),
        ("## It was sold in 1950.", True),  # whoever writes the mark means it
        ("Minutes of 3 May\n---", True),
        ("Why was the mill sold?\n===", True),
        ("The mill was sold in 1950 to Ada Brun.\n---", False),
        ("The mill was sold.\nIts wheel has 12 paddles\n---", False),
        ("Acme Inc.\n=========", True),
        ('Ada said: "Never!"\n---', False),
        ("Items for May:\n-", False),
        ("**The mill was sold in 1950.**\n---", False),
        ("It has a wheel of `12 paddles.`\n---", False),
        ("The mill was sold.[^1]\n---", False),
        ("磨坊于1950年出售。\n---", False),
    ],
)
def test_a_paragraph_with_a_rule_right_below_it_is_none(text: str, expected: bool) -> None:
    opening, inline = PARSER.parse(text)[:2]
    assert opening.type == "heading_open"
    assert is_heading(opening, inline) is expected


def test_headings_end_those_of_their_level_and_deeper_and_the_title_is_left_out() -> None:
    headings, paths = Headings(), list[str | None]()
    tokens = PARSER.parse("# Fees\n## The *Mill*\n#### Food\n### [Tea](x)\n##\n### Cake\n# Ends\n")
    for opening, inline in zip(tokens[::3], tokens[1::3], strict=True):
        headings.enter(opening, inline)
        paths.append(headings.path("The Mill"))
    assert paths == ["Fees", "Fees", "Fees > Food", "Fees > Tea", "Fees", "Fees > Cake", "Ends"]
    assert headings.count == 7


def test_plain_words_have_no_marks() -> None:
    inline = PARSER.parse("A *fine*\n[mill](http://a.b)\\\nwith `code`  ![and a wheel](x.png)")[1]
    assert plain(inline) == "A fine mill with code and a wheel"


MILL = "# The mill\n\nIt was sold in 1950.\n"


@pytest.mark.parametrize(
    "matter",
    [
        "---\ntitle: The mill\ndate: 2020-01-02\ntags: [a, b]\n---\n",
        "\ufeff---\ntags:\n  - a\n- b\n# a comment\n\naliases: x\n---\n",
        "---\n---\n",
    ],
)
def test_front_matter_is_no_text(matter: str) -> None:
    assert without_front_matter(matter + MILL) == MILL


@pytest.mark.parametrize(
    "text",
    [
        MILL,
        f"---\n{MILL}",
        "---\nThe mill was sold.\n---\nIt is red.\n",
        "Notes\n---\ntitle: x\n---\n",
        "---\na: b\n",
        "---\nNote: it is red.\n---\n",
    ],
)
def test_other_text_between_rows_of_dashes_stays(text: str) -> None:
    assert without_front_matter(text) == text


def test_looking_for_front_matter_takes_no_time() -> None:
    began = time.perf_counter()
    without_front_matter("---\n" + "  \n" * 50_000 + "x")
    assert time.perf_counter() - began < 1
