"""Passages of documents, found for a question: ranking, cutting, and the indexes that are kept. Knows no HTTP."""

import os

os.environ.setdefault("JAX_PLATFORMS", "cpu")  # bm25s uses JAX where it is installed, which then takes most of a GPU
