"""For those who run it: whether the service lives, is ready, and how it does."""
