"""Distillation: a teacher with the passage in its prompt, a student with an adapter instead, and the loss between."""
