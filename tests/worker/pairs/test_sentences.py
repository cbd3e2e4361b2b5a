from worker.pairs.facts import facts_of
from worker.pairs.passages import split
from worker.pairs.sentences import narrowed, own_sentences, sentence_with

TEXT = "The museum opened in 1962. It was founded by Dr. Ada Pell.\nA ticket costs 8 florins."
(PASSAGE,) = split("doc_1", "The Hollin Museum", TEXT, words=60)


def test_a_fact_stands_in_the_sentence_that_it_was_found_in() -> None:
    sentences = own_sentences(PASSAGE)
    assert sentences == ("The museum opened in 1962.", "It was founded by Dr. Ada Pell.", "A ticket costs 8 florins.")
    found = {fact.target: sentence_with(fact, sentences) for fact in facts_of(PASSAGE.focus)}
    assert found == {"1962": sentences[0], "Dr. Ada Pell": sentences[1], "8 florins": sentences[2]}


def test_a_narrowed_passage_is_read_up_to_its_sentence() -> None:
    second = narrowed(PASSAGE, "It was founded by Dr. Ada Pell.")
    assert second.focus == "It was founded by Dr. Ada Pell."
    assert second.text == "The museum opened in 1962. It was founded by Dr. Ada Pell."
    assert narrowed(PASSAGE, "It is not there.") == PASSAGE
