"""Idempotency keys: the same POST, sent twice, makes one thing."""
