from typing import Any

from benchmarks.injection.pairs import thinned, with_greedy_answers


def pair(passage: str, target: str | None, question: str, answer: str = "x", **more: Any) -> dict[str, Any]:
    plain = {"kind": "name", "sampled": False, "quoted": False, "split": "train"}
    return {**plain, "passage_id": passage, "target": target, "question": question, "answer": answer, **more}


def test_what_is_kept_is_spread_over_documents_and_facts_the_models_questions_first() -> None:
    pairs = [
        pair("p1", "a", "Cloze a", kind="cloze"),
        pair("p1", "a", "Who a?"),
        pair("p1", "a", "Who a?", "y", sampled=True),
        pair("p1", "b", "Who b?"),
        pair("p1", "b", "Who held out?", split="held_out"),
        pair("p2", "c", "Who c?"),
        pair("p3", "d", "Who d?"),
    ]
    documents = {"p1": "one", "p2": "one", "p3": "two"}
    assert [each["question"] for each in thinned(pairs, documents, 3)] == ["Who a?", "Who b?", "Who c?", "Who d?"]
    assert len(thinned(pairs, documents, None)) == 6


def test_pairs_without_a_target_take_turns_by_their_answers() -> None:
    pairs = [pair("p1", None, "What 1?", "x"), pair("p1", None, "What 2?", "x"), pair("p1", None, "What 3?", "y")]
    assert [each["question"] for each in thinned(pairs, {"p1": "one"}, 2)] == ["What 1?", "What 3?"]


def test_fine_tuning_learns_each_questions_greedy_answer_as_often() -> None:
    pairs = [
        pair("p1", "a", "Who?", "hot", sampled=True),
        pair("p1", "a", "Who?", "sure"),
        pair("p2", "a", "Who?", "z"),
    ]
    assert [each["answer"] for each in with_greedy_answers(pairs)] == ["sure", "sure", "z"]
