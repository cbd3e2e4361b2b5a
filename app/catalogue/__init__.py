"""The catalogue: every name that a chat can give as its `model`."""
