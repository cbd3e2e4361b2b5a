"""The demo: a bundled document about something invented, and twelve questions that no training code ever sees."""
