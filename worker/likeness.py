"""How alike two questions are in meaning, by the vectors that retrieval has: of words, averaged over a text.

Such vectors do not see the order of words: "When was the tower built?" and "Who built the tower?" are 0.89 alike. So
only questions with the same answer may be compared; among those, what is nearly one text is a copy.
"""

import functools

import numpy as np
from numpy.typing import NDArray

from app.retrieval.embeddings import embed

NEAR_COPY = 0.985
"""Cosine of two questions for one fact from which they are copies. Read off the questions of three documents: above
it two differ by a preposition or a tense ("found in", "found at"), below it begin other wordings ("What is the name of
the fish pie?", "What is the fish pie called?"), which teach more than they cost."""


def likeness(one: str, other: str) -> float:
    """Cosine of two texts' vectors, from -1 to 1."""
    return float(_vector(one) @ _vector(other))


def is_near_copy(one: str, other: str) -> bool:
    """Whether a question says what another for the same fact says, nearly in its words."""
    return likeness(one, other) >= NEAR_COPY


@functools.lru_cache(maxsize=4096)
def _vector(text: str) -> NDArray[np.float32]:
    """Shape (256,), of unit length."""
    vector: NDArray[np.float32] = embed([text])[0]
    return vector
