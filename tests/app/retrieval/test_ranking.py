import logging
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.retrieval.ranking import Method, Ranker

PASSAGES = [
    "The lighthouse of Orvenna was built in 1821 by Maret Quill.",
    "Its lamp burns rapeseed oil, which ships bring in spring.",
    "The organ has 7 pipes and was designed by Ada Tamsin.",
    "The baker sells rye bread in the harbour every morning.",
]
METHODS: tuple[Method, ...] = ("bm25", "embeddings", "hybrid")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("question", "right"),
    [
        ("Who built the lighthouse?", 0),
        ("Which oil burns in the lamp?", 1),
        ("Who was the designer of the organ's pipes?", 2),
        ("Where does the baker sell bread?", 3),
    ],
)
def test_the_passage_that_answers_comes_first(method: Method, question: str, right: int) -> None:
    best = Ranker(PASSAGES, method).best(question, 3)
    assert best[0][0] == right
    assert len(best) == 3
    scores = [score for _, score in best]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > scores[1]


def test_words_meet_in_their_stems_and_digits_count() -> None:
    ranker = Ranker(PASSAGES)
    assert ranker.best("designing an organ", 1)[0][0] == 2
    assert ranker.best("7", 1)[0][0] == 2
    assert ranker.best("baking, sellers, breads", 1)[0][0] == 3


def test_scripts_without_spaces_are_ranked_by_their_characters() -> None:
    assert Ranker(["灯台は海辺にある。", "猫は家にいる。"]).best("猫はどこ", 1)[0][0] == 1


def test_meaning_finds_what_shares_no_word_with_the_question() -> None:
    question = "cakes and pastry shop at the port"
    assert Ranker(PASSAGES, "bm25").best(question, 1) == [(0, 0.0)]
    assert Ranker(PASSAGES, "embeddings").best(question, 1)[0][0] == 3
    assert Ranker(PASSAGES, "hybrid").best(question, 1)[0][0] == 3


@pytest.mark.parametrize("method", METHODS)
def test_a_question_that_does_not_say_what_it_is_about_is_read_with_those_before(method: Method) -> None:
    ranker = Ranker([*PASSAGES, "They are made in a workshop."], method)
    assert ranker.best("And how many?", 1, ["Who designed the organ?"])[0][0] == 2


@pytest.mark.parametrize("method", METHODS)
def test_a_new_question_comes_before_a_long_one_about_something_else(method: Method) -> None:
    long = f"{PASSAGES[0]} {PASSAGES[0]} Is that right, and who was Maret Quill of Orvenna?"
    assert Ranker(PASSAGES, method).best("Where does the baker sell bread?", 1, [long])[0][0] == 3


def test_each_turn_before_counts_half_as_much_as_the_one_after_it() -> None:
    ranker = Ranker(PASSAGES)
    alone = [ranker.best(question, 1)[0] for question in ("the organ", "the baker", "the lamp")]
    assert [place for place, _ in alone] == [2, 3, 1]
    together = dict(ranker.best("the organ", 4, ["the baker", "the lamp"]))
    ceiling = alone[0][1]
    assert together == pytest.approx(
        {2: ceiling, 3: min(alone[1][1], ceiling) / 2, 1: min(alone[2][1], ceiling) / 4, 0: 0.0}
    )


def test_fusion_adds_what_the_two_rankings_give() -> None:
    best = dict(Ranker(PASSAGES, "hybrid").best("organ", 4))
    assert best[2] == pytest.approx(2 / 61)  # first in both
    assert sorted(best.values()) == pytest.approx([1 / 64, 1 / 63, 1 / 62, 2 / 61])  # the others share no word


@pytest.mark.parametrize("method", METHODS)
def test_equals_keep_their_order_and_all_come(method: Method) -> None:
    same = Ranker(["nothing in common"] * 5, method)
    assert [index for index, _ in same.best("the lighthouse", 9)] == [0, 1, 2, 3, 4]
    assert same.best("the lighthouse", 0) == []


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("passages", [[], [""], ["the", "…"]])
@pytest.mark.parametrize("question", ["Who built it?", ""])
def test_nothing_to_rank_by_is_no_error(method: Method, passages: list[str], question: str) -> None:
    assert len(Ranker(passages, method).best(question, 3)) == len(passages)


def test_threads_share_a_ranker() -> None:
    ranker = Ranker(PASSAGES, "hybrid")
    questions = ["Who built the lighthouse?", "Which oil burns?", "How many pipes?", "Who sells bread?"] * 50
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda question: ranker.best(question, 2), questions))
    assert found == [ranker.best(question, 2) for question in questions]


@pytest.mark.parametrize(("set_before", "platforms"), [(None, "cpu"), ("cuda", "cuda")])
def test_jax_keeps_off_the_gpu_unless_told_otherwise(set_before: str | None, platforms: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "JAX_PLATFORMS"}
    environment |= {"JAX_PLATFORMS": set_before} if set_before else {}
    program = "import app.retrieval.ranking, os; print(os.environ['JAX_PLATFORMS'])"
    told = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == platforms


def test_the_librarys_debug_lines_keep_to_the_services_log_level(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        Ranker(["The mill is old."], "bm25")
    assert "bm25s" in {record.name for record in caplog.records}
    caplog.clear()
    root = logging.getLogger()
    before = root.level
    root.setLevel(logging.INFO)
    try:
        Ranker(["The mill is old."], "bm25")
    finally:
        root.setLevel(before)
    assert not caplog.records
