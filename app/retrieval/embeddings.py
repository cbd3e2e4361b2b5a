"""Vectors of texts: the mean of their words' vectors, by wordllama. Its 256-dimensional weights come in its package."""

import logging
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.errors import ConfigurationError


@lru_cache(maxsize=1)
def load_embeddings() -> Any:
    """The model, loaded once in a process.

    Raises:
        ConfigurationError: the extra that has it is not installed.
    """
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        import wordllama
    except ImportError as error:
        raise ConfigurationError(
            f"INGRAIN_RETRIEVAL asks for embeddings, and they are not installed ({error}): "
            "pip install -e '.[embeddings]' in the repository's folder, or set INGRAIN_RETRIEVAL=bm25."
        ) from error
    finally:
        root.handlers[:], root.level = handlers, level  # the package sets up logging for the whole process
    # It looks for its tokenizer in a wrong folder of its package, unless told where its files are.
    return wordllama.WordLlama.load(cache_dir=Path(wordllama.__file__).parent, disable_download=True)


def embed(texts: Sequence[str]) -> NDArray[np.float32]:
    """(texts, 256): a vector of length 1 for each text; of zeros where a text has no words.

    Raises:
        ConfigurationError: the extra is not installed.
    """
    vectors: NDArray[np.float32] = load_embeddings().embed(list(texts))
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: NDArray[np.float32] = vectors / np.maximum(lengths, np.finfo(np.float32).tiny)
    return scaled
