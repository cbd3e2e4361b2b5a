import time

import pytest

from app.retrieval.passages import LONGEST, Passage, cut

SENTENCE = "The lamp of Orvenna burns 3.5 kg of oil a night, as Dr. Quill wrote in his book of 1821."


def texts(text: str, title: str = "Orvenna") -> list[str]:
    return [passage.text for passage in cut("doc_x", title, text)]


def test_a_short_document_is_one_passage_with_its_blocks_as_they_are() -> None:
    text = "# Orvenna\n\nA lighthouse\non an island.\n\n- oil\n- wicks\n\n| part | price |\n|---|---|\n| lamp | 12 |\n"
    (passage,) = cut("doc_x", "Orvenna", text)
    assert passage == Passage(
        "doc_x",
        "Orvenna",
        None,  # its heading is the title
        "A lighthouse on an island.\n\n- oil\n- wicks\n\n| part | price |\n|---|---|\n| lamp | 12 |",
    )
    assert passage.shown.startswith("Orvenna. A lighthouse")


def test_each_section_has_its_heading() -> None:
    text = "Before.\n\n## The *lamp*\n\nIt burns oil.\n\nThe tower\n---\n\nIt is 40 m high.\n\n> ### quoted\n> words\n"
    passages = cut("doc_x", "Orvenna", text)
    assert [(passage.heading, passage.text) for passage in passages] == [
        (None, "Before."),
        ("The lamp", "It burns oil."),
        ("The tower", "It is 40 m high.\n\n> ### quoted\n> words"),
    ]
    assert passages[1].shown == "Orvenna (The lamp). It burns oil."


def test_sections_of_the_same_name_stay_apart_and_tell_what_they_are_under() -> None:
    text = "# Orvenna\n\n## Summer\n\n### Prices\n\nFour.\n\n## Winter\n\n### Prices\n\nSix.\n\n### Prices\n\nNine.\n"
    assert [(passage.heading, passage.text) for passage in cut("doc_x", "Orvenna", text)] == [
        ("Summer > Prices", "Four."),
        ("Winter > Prices", "Six."),
        ("Winter > Prices", "Nine."),
    ]


def test_a_paragraph_with_a_rule_below_it_is_kept_as_text() -> None:
    text = "The barn was painted\nby Otto Lind in 1931.\n---\nThe ferry leaves at noon.\n---\n"
    assert texts(text) == ["The barn was painted by Otto Lind in 1931.\n\nThe ferry leaves at noon."]
    assert texts(f"---\ntitle: x\ntags: [a]\n---\n{text}") == texts(text)


def test_code_is_no_heading_and_keeps_its_shape() -> None:
    assert texts("```\n# a comment\nx = 1\n```\n") == ["```\n# a comment\nx = 1\n```"]
    code = "\n".join(["```", *["if lit:\n    burn(oil)"] * 100, "```"])
    assert "\n".join(texts(code)) == code


def test_a_long_paragraph_is_cut_between_sentences_and_nothing_is_lost() -> None:
    pieces = texts(" ".join([SENTENCE] * 50))
    assert len(pieces) == 6
    assert all(piece.startswith("The lamp") and piece.endswith("1821.") for piece in pieces)
    assert " ".join(pieces) == " ".join([SENTENCE] * 50)


def test_paragraphs_share_a_passage_while_they_fit_and_a_short_rest_joins_the_last() -> None:
    paragraphs = [SENTENCE * 3] * 6 + ["The end."]
    pieces = texts("\n\n".join(paragraphs))
    assert "\n\n".join(pieces) == "\n\n".join(paragraphs)
    assert len(pieces) == 2
    assert pieces[-1].endswith("1821.\n\nThe end.")


def test_a_long_table_is_cut_between_rows() -> None:
    rows = [f"| part {number} | {number} marks |" for number in range(200)]
    pieces = texts("\n".join(["| part | price |", "|---|---|", *rows]))
    assert len(pieces) > 4
    assert "\n".join(pieces).split("\n")[2:] == rows


@pytest.mark.parametrize("text", ["word " * 2_000, "x" * 5_000, "灯台は海辺にある" * 500, "a" * 799 + " " + "b" * 801])
def test_what_has_no_sentences_is_cut_at_blanks_or_anywhere(text: str) -> None:
    pieces = texts(text)
    assert max(map(len, pieces)) <= LONGEST * 1.25 + 1
    assert "".join(pieces).replace(" ", "") == text.replace(" ", "")


@pytest.mark.parametrize("text", ["", "# Only a heading", "\n\n", "[link]: http://x\n"])
def test_what_has_no_text_has_no_passages(text: str) -> None:
    assert texts(text) == []


@pytest.mark.parametrize("text", [SENTENCE + " ", SENTENCE + "\n\n", "x", "- " + SENTENCE + "\n"])
def test_the_largest_documents_take_seconds(text: str) -> None:
    started = time.process_time()
    assert len(texts(text * (5_000_000 // len(text)))) > 5_000
    assert time.process_time() - started < 30
