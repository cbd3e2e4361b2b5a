import logging
import subprocess
import sys

import numpy as np
import pytest

from app.errors import ConfigurationError
from app.retrieval.embeddings import embed, load_embeddings
from app.retrieval.ranking import Ranker


def test_vectors_have_length_one_and_those_without_words_are_zeros() -> None:
    vectors = embed(["a lamp", "a rather longer text about a lamp", ""])
    assert vectors.shape == (3, 256)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 1, 0], abs=1e-5)


def test_a_text_has_the_same_vector_in_any_company() -> None:
    alone, among = embed(["a lamp"]), embed(["a lamp", "a rather longer text about a lamp"])
    assert alone[0] == pytest.approx(among[0], abs=1e-6)


def test_loading_leaves_the_logging_of_the_process_alone() -> None:
    code = (
        "import logging; from app.retrieval.embeddings import load_embeddings; load_embeddings(); print(logging.root)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(logging.RootLogger(logging.WARNING))
    assert done.stderr == ""


def test_without_the_extra_the_error_tells_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wordllama", None)  # as Python has it where a package is not installed
    load_embeddings.cache_clear()
    for make in (load_embeddings, lambda: Ranker(["text"], "hybrid")):
        with pytest.raises(ConfigurationError, match=r"pip install -e '\.\[embeddings\]' .*INGRAIN_RETRIEVAL"):
            make()
    assert Ranker(["text"], "bm25").best("text", 1)
