import time

import pytest

from worker.pairs.passages import Passage, read_title, sentences_of, split, words_for


def texts(passages: list[Passage]) -> list[str]:
    return [passage.text for passage in passages]


def test_every_sentence_becomes_a_passage_that_knows_title_and_heading() -> None:
    text = "# The Mill\n\nThe mill is old. A wheel turns.\n\n## Visiting\n\nTickets cost 4 marks.\n"
    passages = split("doc_1", "The Mill", text, words=1)
    assert texts(passages) == ["The mill is old.", "A wheel turns.", "Tickets cost 4 marks."]
    assert [passage.heading for passage in passages] == [None, None, "Visiting"]
    assert [passage.id for passage in passages] == ["p0001", "p0002", "p0003"]
    assert {passage.title for passage in passages} == {"The Mill"}


def test_a_sentence_that_points_back_is_shown_with_the_one_before() -> None:
    (_, second, third) = split(
        "doc_1", "Mill", "Ada Pell built it in 1903. She sold it. In that year it burnt.", words=1
    )
    assert second.text == "Ada Pell built it in 1903. She sold it."
    assert second.focus == "She sold it."
    assert third.text == "Ada Pell built it in 1903. She sold it. In that year it burnt."


def test_what_stands_under_the_title_is_one_section() -> None:
    text = "# Corrin Lamp\n\nMaud Ellery drew the Corrin Lamp.\n\nIt burns for 90 hours.\n\nHer sister Ada sold it."
    (whole,) = split("doc_1", "Corrin Lamp", text, words=60)
    assert whole.text == "Maud Ellery drew the Corrin Lamp. It burns for 90 hours. Her sister Ada sold it."
    assert texts(split("doc_1", "Corrin Lamp", text, words=1))[1:] == [
        "Maud Ellery drew the Corrin Lamp. It burns for 90 hours.",
        whole.text,
    ]


def test_sections_of_the_same_name_stay_apart_and_tell_what_they_are_under() -> None:
    text = (
        "# Harbour guide\n\nIt is old.\n\n## Summer\n\n### Prices\n\nAdults pay four pounds.\n\n"
        "## Winter\n\n### Prices\n\nAdults pay six pounds.\n\n### Prices\n\nBoats pay nine pounds.\n"
    )
    passages = split("doc_1", "Harbour guide", text, words=60)
    assert [(passage.heading, passage.text) for passage in passages] == [
        (None, "It is old."),
        ("Summer > Prices", "Adults pay four pounds."),
        ("Winter > Prices", "Adults pay six pounds."),
        ("Winter > Prices", "Boats pay nine pounds."),
    ]
    assert passages[1].place == "Harbour guide (Summer > Prices)"


def test_a_sentence_does_not_point_back_over_a_heading() -> None:
    passages = split("doc_1", "Mill", "The mill is old.\n\n## Care\n\nIt needs oil.", words=1)
    assert passages[1].text == "It needs oil."


def test_a_paragraph_with_a_rule_below_it_is_kept_as_text() -> None:
    text = "Notes\n---\nThe barn was painted by Otto Lind.\n---\nThe mill was sold.\nIt has a wheel\n---\nThe end."
    assert [(passage.heading, passage.focus) for passage in split("doc_1", "May", text, 1)] == [
        ("Notes", "The barn was painted by Otto Lind."),
        ("Notes", "The mill was sold."),
        ("Notes", "It has a wheel"),
        ("Notes", "The end."),
    ]
    matter = "---\ntitle: x\n---\n# The mill\n\nIt was sold.\n"
    assert (read_title(matter), texts(split("doc_1", "", matter, 1))) == ("The mill", ["It was sold."])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Dr. Vell met Mr. J. R. Okun at 3.5 p.m. today. He left.", 2),
        ("It weighs 2.5 kg. It costs e.g. $4.20 per unit, i.e. little!", 2),
        ("It takes approx. 5 min. to boil. Then wait.", 2),
        ("See Fig. 3 for U.S. data. No. 4 is best.", 2),
        ("no full stop at all", 1),
        ("", 0),
    ],
)
def test_abbreviations_decimals_and_initials_do_not_end_a_sentence(text: str, expected: int) -> None:
    assert len(sentences_of(text)) == expected


def test_larger_passages_keep_whole_sentences_and_no_short_tail() -> None:
    sentence = "The mill has nine wheels and a red door. "
    passages = split("doc_1", "Mill", sentence * 20, words=60)
    assert [len(passage.text.split()) for passage in passages] == [63, 63, 54]
    assert all(passage.text.endswith(".") and passage.focus == passage.text for passage in passages)
    assert len(split("doc_1", "Mill", sentence * 8, words=60)) == 1


def test_lists_tables_code_and_marks_of_markdown() -> None:
    text = (
        "A *fine* [mill](http://a.b) with `code`.\r\n\r\n- nine wheels\r\n- one door\r\n\r\n"
        "| Part | Price |\r\n|---|---|\r\n| seal | 12 marks |\r\n| lid | 3 marks |\r\n\r\n"
        "```\nx = 1. Y\n```\r\n\r\nSetext\r\n======\r\nlast 2 < 3 <b>"
    )
    passages = split("doc_1", "T", text, words=1)
    assert texts(passages) == [
        "A fine mill with code.", "nine wheels", "one door", "Part: seal; Price: 12 marks.",
        "Part: lid; Price: 3 marks.", "x = 1. Y", "last 2 < 3 <b>",
    ]  # fmt: skip
    assert passages[-1].heading == "Setext"


def test_an_item_of_a_list_is_shown_with_what_introduces_the_list() -> None:
    text = (
        "It is a park. You must not do any of these:\n\n- park on the lawn. The fine is 9 marks.\n- feed\n"
        "  1. the geese\n- bring:\n  - a dog\n\nIt opens at 9.\n\n- gate\n"
    )
    lead = "You must not do any of these:"
    assert [(passage.text, passage.focus) for passage in split("doc_1", "T", text, words=1)[2:]] == [
        (f"{lead} • park on the lawn.", "park on the lawn."),
        ("The fine is 9 marks.", "The fine is 9 marks."),
        (f"{lead} • feed", "feed"),
        (f"{lead} • the geese", "the geese"),
        (f"{lead} • bring:", "bring:"),
        (f"{lead} bring: • a dog", "a dog"),
        (f"{lead} bring: • a dog It opens at 9.", "It opens at 9."),
        ("gate", "gate"),
    ]
    assert sentences_of(f"{lead} • park on the lawn.") == (lead, "park on the lawn.")


def test_only_what_stands_right_before_a_list_introduces_it() -> None:
    text = "Fees:\n\n| a |\n|---|\n| 9 |\n\n- gate\n\nRules:\n\n## Lawn\n\n* mown\n\nRules:\n\n- one\n\n1. two\n"
    shown = texts(split("doc_1", "T", text, words=1))
    assert shown == ["Fees:", "a: 9.", "gate", "Rules:", "mown", "Rules:", "Rules: • one", "two"]


def test_a_passage_that_holds_what_introduces_a_list_tells_it_once() -> None:
    text = "Never do any of these:\n\n- park on the lawn\n- feed the geese\n- swim\n- fish\n"
    assert texts(split("doc_1", "T", text, words=8)) == [
        "Never do any of these: park on the lawn",
        "Never do any of these: • feed the geese swim fish",
    ]


def test_a_table_row_is_one_sentence_whatever_its_cells_hold() -> None:
    text = "| Part | Notes |\n|---|---|\n| Seal | Good. Lasts two years. |\n| Lid | Free! |\n| Rim | |\n| | |\n"
    assert texts(split("doc_1", "T", text, words=1)) == [
        "Part: Seal; Notes: Good. Lasts two years.",
        "Part: Lid; Notes: Free!",
        "Part: Rim.",
    ]


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("A <!-- dear --> ticket costs ~~20~~ *15* euros.", ["A ticket costs 15 euros."]),
        ("~~It is shut.~~\n\nIt is open.", ["It is open."]),
        ("<!-- secret\n\n# not said\n-->\n\nIt is red.", ["It is red."]),
        ("<!-- more --> It is *red*.\n- <!--\n\n  x -->\n- one\n", ["It is red.", "one"]),
        ("```html\n<!-- a -->\n<p>x</p>\n```\n\nSay `<p>`.", ["<!-- a -->\n<p>x</p>", "Say <p>."]),
        ("<div class='x'>\n\n<p>Bo is\n**red**.</p><p>Ada is old.</p>\n\n</div>\n", ["Bo is red.", "Ada is old."]),
        ("Gate 1<br>Gate 2<br/>Gate 3, H<sub>2</sub>O <IMG src='x'>", ["Gate 1 Gate 2 Gate 3, H2O"]),
        ("Give <name>, and \\<b>no\\</b> List<String> &lt;i&gt;.", ["Give <name>, and <b>no</b> List<String> <i>."]),
    ],
)
def test_tags_comments_and_struck_words_are_no_text(text: str, seen: list[str]) -> None:
    assert texts(split("doc_1", "T", text, words=1)) == seen


def test_one_word_is_a_passage_and_nothing_is_none() -> None:
    assert texts(split("doc_1", "T", "word", words=1)) == ["word"]
    assert split("doc_1", "T", " \n\n ", words=1) == []
    assert split("doc_1", "T", "# Only a heading\n", words=1) == []


def test_a_text_without_full_stops_is_cut_before_it_outgrows_a_prompt() -> None:
    passages = split("doc_1", "T", "word " * 1000, words=1)
    assert max(len(passage.text.split()) for passage in passages) <= 120
    assert sum(len(passage.text.split()) for passage in passages) == 1000


@pytest.mark.parametrize(
    "text",
    [
        "```\n" + "QUJD" * 3000 + "\n```",
        "```\n" + '{"a":[1,2,3],"b":"c"},' * 400 + "\n```",
        "他于一九七四年建造了这座风琴，" * 400,
        "0.12,0.34,0.56\n" * 600,
    ],
)
@pytest.mark.parametrize("words", [1, 150])
def test_no_passage_has_more_tokens_than_a_prompt_can_hold_and_nothing_is_lost(text: str, words: int) -> None:
    passages = split("doc_1", "T", text, words)
    assert max(len(passage.text.encode()) for passage in passages) <= (1200 if words == 1 else 2400)
    focused = "".join("".join(passage.focus.split()) for passage in passages)
    assert focused == "".join(text.replace("```", "").split())


def test_200_kilobytes_take_little_time() -> None:
    text = "The mill has nine wheels. It is red.\n\n" * 5000
    begun = time.monotonic()
    passages = split("doc_1", "T", text, words=1)
    assert len(passages) == 10_000
    assert time.monotonic() - begun < 20


def test_title_from_the_text() -> None:
    assert read_title("\ufeff# The *Mill*\n\nText.") == "The Mill"
    assert read_title("## Part\n\nIt is red.\n\nThe mill\n===\n") == "The mill"
    assert read_title("> # Quoted\n\nText.\n\n## Part") is None


def test_small_models_get_single_sentences() -> None:
    assert [words_for(size) for size in (135_000_000, 2_000_000_000, 8_000_000_000)] == [1, 60, 150]
