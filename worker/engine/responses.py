"""The dialect's answers, put together from the engine's outputs."""

import time
from collections.abc import Iterable, Sequence
from typing import Any

from worker.engine.sampling import TokenLogprob
from worker.engine.sequences import Output, Request


class Answer:
    """One choice, gathered from its outputs."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.text = ""
        self.tokens: list[int] = []
        self.logprobs: list[TokenLogprob] = []
        self.finish_reason: str | None = None
        self.stop_reason: str | int | None = None

    def add(self, output: Output) -> None:
        """Take what is new."""
        self.text += output.text
        self.tokens += output.tokens
        self.logprobs += output.logprobs
        self.finish_reason = output.finish_reason
        self.stop_reason = output.stop_reason


class Writer:
    """Writes answers in the dialect; knows the tokenizer, to name tokens."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer

    def token(self, token: int, *, as_id: bool = False) -> str:
        """A token's own text, or `token_id:…`, which is exact where texts of tokens are not."""
        if as_id:
            return f"token_id:{token}"
        text: str = self._tokenizer.decode([token], skip_special_tokens=False, clean_up_tokenization_spaces=False)
        return text

    def chat_logprobs(self, logprobs: Iterable[TokenLogprob], *, as_id: bool) -> dict[str, Any]:
        """`choices[].logprobs` of a chat completion."""
        return {
            "content": [
                {
                    **self._chat_entry(entry.token, entry.logprob, as_id),
                    "top_logprobs": [self._chat_entry(token, logprob, as_id) for token, logprob in entry.top],
                }
                for entry in logprobs
            ]
        }

    def _chat_entry(self, token: int, logprob: float, as_id: bool) -> dict[str, Any]:
        return {
            "token": self.token(token, as_id=as_id),
            "logprob": max(logprob, -9999.0),
            "bytes": list(self.token(token).encode()),
        }

    def completion_logprobs(
        self, tokens: Sequence[int], logprobs: Sequence[TokenLogprob | None], *, as_id: bool, offset: int = 0
    ) -> dict[str, Any]:
        """`choices[].logprobs` of a plain completion; the first token of an echoed prompt has none."""
        names = [self.token(token, as_id=as_id) for token in tokens]
        offsets = []
        for token in tokens:
            offsets.append(offset)
            offset += len(self.token(token))
        return {
            "text_offset": offsets,
            "token_logprobs": [None if entry is None else max(entry.logprob, -9999.0) for entry in logprobs],
            "tokens": names,
            "top_logprobs": [None if entry is None else self._top(entry, as_id) for entry in logprobs],
        }

    def _top(self, entry: TokenLogprob, as_id: bool) -> dict[str, float]:
        pairs = [*entry.top, (entry.token, entry.logprob)]
        return {self.token(token, as_id=as_id): max(logprob, -9999.0) for token, logprob in pairs}

    def prompt_logprobs(self, request: Request) -> list[dict[str, Any] | None] | None:
        """vLLM's `prompt_logprobs`: for each token of the prompt, by token id; nothing is known of the first."""
        if request.params.prompt_logprobs is None:
            return None
        found: list[dict[str, Any] | None] = [None]
        for entry in request.prompt_logprobs:
            row = {
                str(token): {"logprob": logprob, "rank": rank, "decoded_token": self.token(token)}
                for rank, (token, logprob) in enumerate(entry.top, start=1)
            }
            row[str(entry.token)] = {
                "logprob": entry.logprob,
                "rank": entry.rank,
                "decoded_token": self.token(entry.token),
            }
            found.append(row)
        return found


def usage(prompt: int, completion: int, cached: int) -> dict[str, Any]:
    """Token counts of a response."""
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": cached},
    }


def envelope(kind: str, identifier: str, model: str, choices: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """What every response and every chunk of a stream has."""
    return {"id": identifier, "object": kind, "created": int(time.time()), "model": model, "choices": choices, **more}


def model_card(name: str, root: str, parent: str | None, max_model_len: int | None, created: int) -> dict[str, Any]:
    """An entry of GET /v1/models."""
    return {
        "id": name,
        "object": "model",
        "created": created,
        "owned_by": "ingrain",
        "root": root,
        "parent": parent,
        "max_model_len": max_model_len,
    }
