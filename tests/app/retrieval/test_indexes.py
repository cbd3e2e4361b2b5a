import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app.errors import InvalidRequest, NotFound
from app.retrieval.indexes import Indexes, check_size
from app.store import Store

TITLES = {"doc_a": "Orvenna", "doc_b": "Harbour"}
TEXTS = {"doc_a": "It was built in 1821.\n\n## Lamp\n\nIt burns oil.", "doc_b": "The baker sells rye bread."}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(f"file://{tmp_path}")
    for document_id, text in TEXTS.items():
        store.write_bytes(f"documents/{document_id}/text.txt", text.encode())
    return store


def test_passages_of_all_documents_are_ranked_together_and_know_theirs(store: Store) -> None:
    index = Indexes(store, "bm25").of(TITLES)
    bread, oil, built = (index.best(question, 1)[0].passage for question in ("bread?", "Orvenna's oil?", "built 1821?"))
    assert (bread.document_id, bread.title, bread.heading, bread.text) == (
        "doc_b", "Harbour", None, "The baker sells rye bread.",
    )  # fmt: skip
    assert (oil.document_id, oil.heading, oil.text) == ("doc_a", "Lamp", "It burns oil.")
    assert (built.document_id, built.heading) == ("doc_a", None)
    assert len(index.best("bread of Orvenna", 9)) == 3


def test_what_shares_no_word_is_left_out_where_words_alone_count(store: Store) -> None:
    for question, found in (("Thanks!", 0), ("Which bread?", 1), ("", 0)):
        assert len(Indexes(store, "bm25").of(TITLES).best(question, 9)) == found
    assert len(Indexes(store, "embeddings").of(TITLES).best("Thanks!", 9)) == 3
    assert len(Indexes(store, "hybrid").of(TITLES).best("Thanks!", 9)) == 3


def test_what_was_asked_before_is_searched_for_too(store: Store) -> None:
    (found,) = Indexes(store, "bm25").of(TITLES).best("Why so?", 1, ["Who sells rye?"])
    assert found.passage.document_id == "doc_b"


def test_an_index_is_built_once_in_whatever_order_its_documents_are_named(store: Store) -> None:
    indexes = Indexes(store, "bm25")
    assert indexes.of(TITLES) is indexes.of(dict(reversed(TITLES.items())))
    assert indexes.of(TITLES) is not indexes.of({"doc_a": "Orvenna"})


def test_threads_that_want_the_same_index_get_one(store: Store) -> None:
    store.write_bytes("documents/doc_a/text.txt", ("It burns oil. " * 20_000).encode())
    indexes, begin = Indexes(store, "bm25"), threading.Barrier(8)

    def ask(_: int) -> int:
        begin.wait()
        return id(indexes.of(TITLES))

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(ask, range(8)))) == 1


def test_one_index_is_built_at_a_time(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    indexes, under_way, most = Indexes(store, "bm25"), 0, 0
    read = Store.read_bytes

    def slowly(self: Store, path: str) -> bytes:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        time.sleep(0.05)
        under_way -= 1
        return read(self, path)

    monkeypatch.setattr(Store, "read_bytes", slowly)
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(indexes.of, [TITLES, {"doc_a": "Orvenna"}, {"doc_b": "Harbour"}]))
    assert most == 1


def test_documents_that_are_too_large_together_are_refused_with_the_way_out() -> None:
    check_size([15_000_000, 5_000_000])
    with pytest.raises(InvalidRequest) as refused:
        check_size([15_000_000, 5_000_000, 600_000])
    assert refused.value.field == "documents"
    assert refused.value.detail == (
        "The documents to find passages in have 20.6 MB together; one index holds up to 20.0 MB. Name fewer of them "
        '("documents": ["doc_…"]).'
    )


def test_the_one_used_longest_ago_makes_room(store: Store) -> None:
    indexes = Indexes(store, "bm25", most_characters=70)
    both, baker = indexes.of(TITLES), indexes.of({"doc_b": "Harbour"})  # 60 and 26 characters
    assert indexes.of({"doc_b": "Harbour"}) is baker
    lamp = indexes.of({"doc_a": "Orvenna"})  # 34 more: fits beside the baker's
    assert indexes.of({"doc_b": "Harbour"}) is baker
    assert indexes.of({"doc_a": "Orvenna"}) is lamp
    assert indexes.of(TITLES) is not both


def test_what_is_larger_than_the_room_is_kept_while_nothing_else_is_used(store: Store) -> None:
    indexes = Indexes(store, "bm25", most_characters=1)
    assert indexes.of(TITLES) is indexes.of(TITLES)


def test_a_document_that_is_forgotten_is_read_again_or_not_found(store: Store) -> None:
    indexes = Indexes(store, "bm25")
    both, baker = indexes.of(TITLES), indexes.of({"doc_b": "Harbour"})
    store.delete("documents/doc_a")
    indexes.forget("doc_a")
    with pytest.raises(NotFound):
        indexes.of(TITLES)
    store.write_bytes("documents/doc_a/text.txt", b"It has another lamp.")
    assert indexes.of(TITLES) is not both  # nor does the failure stay
    assert indexes.of({"doc_b": "Harbour"}) is baker


def test_others_run_while_a_large_document_is_cut(store: Store) -> None:
    paragraph = "The lamp of Orvenna burns 3.5 kg of oil a night.\n\n"
    store.write_bytes("documents/doc_a/text.txt", (paragraph * 20_000).encode())
    with ThreadPoolExecutor(1) as pool:
        building = pool.submit(Indexes(store, "bm25").of, TITLES)
        turns = 0
        while not building.done():
            time.sleep(0.001)
            turns += 1
    assert len(building.result().best("lamp", 5)) == 5
    assert turns > 20, "one that holds the interpreter leaves a handful"
