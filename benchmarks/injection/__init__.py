"""Ways of giving a model knowledge of passages, compared on the same questions: what `squadshifts.py` is made of."""
