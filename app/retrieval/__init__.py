"""Passages of documents, found for a question: ranking, cutting, and the indexes that are kept. Knows no HTTP."""
