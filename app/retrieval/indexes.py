"""The indexes of documents' passages: built on first use, and those used last kept in this process."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from threading import Lock
from typing import Final

from app.errors import InvalidRequest
from app.retrieval.passages import Passage, cut
from app.retrieval.ranking import Method, Ranker
from app.store import Store

_MOST_CHARACTERS: Final = 20_000_000
MOST_BYTES: Final = 20_000_000
"""Of documents in one index: it takes several times as much memory."""
_Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """A passage that was found, and its score in the ranking's own measure."""

    passage: Passage
    score: float


def check_size(sizes: Iterable[int]) -> None:
    """Whether an index of documents of these sizes, in bytes, may be built.

    Raises:
        InvalidRequest: they are too large together.
    """
    total = sum(sizes)
    if total > MOST_BYTES:
        raise InvalidRequest(
            f"The documents to find passages in have {total / 1e6:.1f} MB together; one index holds up to "
            f'{MOST_BYTES / 1e6:.1f} MB. Name fewer of them ("documents": ["doc_…"]).',
            field="documents",
        )


class Index:
    """The passages of one or more documents, ranked for one question after the other. Threads may share it."""

    def __init__(self, passages: Sequence[Passage], method: Method) -> None:
        self._passages = passages
        self._least = 0.0 if method == "bm25" else float("-inf")
        self._ranker = Ranker([passage.shown for passage in passages], method)
        self.characters = sum(len(passage.text) for passage in passages)

    def best(self, question: str, many: int, before: Sequence[str] = ()) -> list[Found]:
        """Up to `many` passages, the best first; ranked by words alone, only those that share one with a turn.

        Args:
            question: to find passages for.
            many: passages at most.
            before: what the same person asked before, the latest first. It counts less (`Ranker.best`).
        """
        best = self._ranker.best(question, many, before)
        return [Found(self._passages[place], score) for place, score in best if score > self._least]


class Indexes:
    """Gives the index of any set of documents. Documents never change, so an index stays true.

    Who asks makes sure that the documents exist; one that was deleted is to be forgotten.

    Args:
        store: has the documents' texts.
        method: how passages are ranked.
        most_characters: of passages kept, over all indexes; the one used last is kept in any case.
    """

    def __init__(self, store: Store, method: Method, most_characters: int = _MOST_CHARACTERS) -> None:
        self.method = method
        self._store = store
        self._most_characters = most_characters
        self._kept: OrderedDict[_Key, Future[Index]] = OrderedDict()
        self._lock = Lock()
        self._building = Lock()

    def of(self, titles: Mapping[str, str]) -> Index:
        """The index of the documents with these ids and titles.

        It is built at the first call, which takes seconds for the largest documents: call it in a thread. Threads that
        want the same one wait for the first of them, and one index is built at a time.

        Raises:
            NotFound: the store does not have a document's text.
        """
        key = tuple(sorted(titles))
        with self._lock:
            kept = self._kept.get(key)
            if kept is not None:
                self._kept.move_to_end(key)
            else:
                building = self._kept[key] = Future[Index]()
        if kept is not None:
            return kept.result()
        try:
            with self._building:
                index = self._build({document_id: titles[document_id] for document_id in key})
        except BaseException as error:
            with self._lock:
                if self._kept.get(key) is building:
                    del self._kept[key]
            building.set_exception(error)
            raise
        building.set_result(index)
        self._make_room()
        return index

    def forget(self, document_id: str) -> None:
        """Drop every index that holds passages of the document. Call it when its text is no longer in the store."""
        with self._lock:
            for key in [key for key in self._kept if document_id in key]:
                del self._kept[key]

    def _build(self, titles: Mapping[str, str]) -> Index:
        passages: list[Passage] = []
        for document_id, title in titles.items():
            text = self._store.read_bytes(f"documents/{document_id}/text.txt").decode()
            passages += cut(document_id, title, text)
        return Index(passages, self.method)

    def _make_room(self) -> None:
        with self._lock:
            sizes = {key: kept.result().characters for key, kept in self._kept.items() if kept.done()}
            total = sum(sizes.values())
            for key in list(sizes)[:-1]:
                if total <= self._most_characters:
                    return
                total -= sizes[key]
                del self._kept[key]
