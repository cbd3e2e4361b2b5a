"""What counts as a heading: a row of dashes below a paragraph does not make one of it."""

import pytest

from app.markdown import PARSER, is_heading


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# The mill", True),
        ("## It was sold in 1950.", True),  # whoever writes the mark means it
        ("Minutes of 3 May\n---", True),
        ("Why was the mill sold?\n===", True),
        ("The mill was sold in 1950 to Ada Brun.\n---", False),
        ("The mill was sold.\nIts wheel has 12 paddles\n---", False),
        ('Ada said: "Never!"\n===', False),
        ("Items for May:\n-", False),
    ],
)
def test_a_paragraph_with_a_rule_right_below_it_is_none(text: str, expected: bool) -> None:
    opening, inline = PARSER.parse(text)[:2]
    assert opening.type == "heading_open"
    assert is_heading(opening, inline) is expected
