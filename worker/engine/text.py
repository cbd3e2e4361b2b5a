"""From tokens to text as they come: whole characters only, and nothing of a stop string."""

from collections.abc import Sequence
from typing import Any

_UNFINISHED = "�"


class TextStream:
    """The text of one sequence, token by token.

    Tokens are decoded behind a few earlier ones, since many tokenizers decode a token differently at the beginning of a
    text; a token that ends inside a character waits for the rest of it.
    """

    def __init__(
        self, tokenizer: Any, stop: Sequence[str] = (), *, include_stop: bool = False, skip_special: bool = True
    ) -> None:
        self._tokenizer = tokenizer
        self._stop = tuple(stop)
        self._include_stop = include_stop
        self._skip_special = skip_special
        self._tokens: list[int] = []
        self._context_start = 0
        self._decoded_end = 0
        self._given = 0
        self._held = max((len(word) for word in self._stop), default=1) - 1
        self.text = ""
        self.stopped_by: str | None = None

    def _decode(self, tokens: list[int]) -> str:
        text: str = self._tokenizer.decode(
            tokens, skip_special_tokens=self._skip_special, clean_up_tokenization_spaces=False
        )
        return text

    def push(self, token: int) -> None:
        """Add a token; afterwards `stopped_by` names the stop string that ended the text, if one did."""
        self._tokens.append(token)
        known = self._decode(self._tokens[self._context_start : self._decoded_end])
        fresh = self._decode(self._tokens[self._context_start :])
        if len(fresh) > len(known) and not fresh.endswith(_UNFINISHED):
            self._append(fresh[len(known) :])
            self._context_start, self._decoded_end = self._decoded_end, len(self._tokens)

    def set(self, tokens: Sequence[int]) -> None:
        """All tokens at once, where nobody looks at the text before its end."""
        self._tokens = list(tokens)

    def finish(self) -> None:
        """Take what waits, but for the beginning of a character whose rest will not come; vLLM drops it too."""
        known = self._decode(self._tokens[self._context_start : self._decoded_end])
        fresh = self._decode(self._tokens[self._context_start :])
        self._append(fresh[len(known) :].rstrip(_UNFINISHED))
        self._decoded_end = len(self._tokens)

    def _append(self, fresh: str) -> None:
        searched = max(0, len(self.text) - self._held)
        self.text += fresh
        hits = [(at, word) for word in self._stop if (at := self.text.find(word, searched)) >= 0]
        if hits and self.stopped_by is None:
            at, word = min(hits)
            self.text = self.text[: at + len(word) if self._include_stop else at]
            self.stopped_by = word

    def take(self, *, last: bool) -> str:
        """What was not given yet. Until the `last` call, the tail that may begin a stop string is held back."""
        end = len(self.text) if last else max(self._given, len(self.text) - self._held)
        fresh = self.text[self._given : end]
        self._given = end
        return fresh
