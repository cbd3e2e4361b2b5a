"""From messages and texts to token ids, and the tokens that end an answer."""

import logging
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer, GenerationConfig

from worker.engine.errors import EngineError
from worker.engine.protocol import ChatRendering

log = logging.getLogger(__name__)


class Prompts:
    """The base model's tokenizer and chat template."""

    def __init__(self, folder: Path, vocabulary: int, max_length: int) -> None:
        self.tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        self.max_length = max_length
        self._vocabulary = vocabulary
        self.end_tokens = self._configured_ends(folder) | self._template_end()
        if not self.end_tokens:
            log.warning("the model names no end-of-text token: answers end at max_tokens only")

    def _configured_ends(self, folder: Path) -> frozenset[int]:
        ends = {self.tokenizer.eos_token_id}
        if (folder / "generation_config.json").is_file():
            named = GenerationConfig.from_pretrained(folder, local_files_only=True).eos_token_id
            ends |= set(named) if isinstance(named, list) else {named}
        return frozenset(end for end in ends if end is not None)

    def _template_end(self) -> frozenset[int]:
        """The special token that the chat template puts after an assistant's turn; some models do not configure it."""
        if not self.tokenizer.chat_template:
            return frozenset()
        marker = "ingrain"
        turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": marker}]
        try:
            rendered: str = self.tokenizer.apply_chat_template(turns, tokenize=False)
        except Exception:  # a template may refuse anything, in its own words
            return frozenset()
        tail = self.tokenizer.encode(rendered.rpartition(marker)[2], add_special_tokens=False)
        return frozenset(tail[:1]) & frozenset(self.tokenizer.all_special_ids)

    def chat(self, request: ChatRendering) -> list[int]:
        """Token ids of a conversation, ready for the assistant's turn.

        Raises:
            EngineError: the model has no chat template, or the template refuses the conversation.
        """
        if not self.tokenizer.chat_template:
            raise EngineError("The model has no chat template; use /v1/completions.", param="messages")
        try:
            rendered = self.tokenizer.apply_chat_template(
                [message.plain() for message in request.messages],
                tokenize=False,
                add_generation_prompt=request.add_generation_prompt,
                continue_final_message=request.continue_final_message,
                **request.chat_template_kwargs,
            )
        except Exception as error:  # Jinja's own errors, or what the template raises
            raise EngineError(f"The chat template refuses these messages: {error}", param="messages") from None
        ids: list[int] = self.tokenizer.encode(rendered, add_special_tokens=False)
        return ids

    def text(self, text: str, *, add_special_tokens: bool = True) -> list[int]:
        """Token ids of a plain text."""
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=add_special_tokens)
        return ids

    def check_ids(self, tokens: list[int]) -> list[int]:
        """The same ids.

        Raises:
            EngineError: one is not in the vocabulary.
        """
        wrong = next((token for token in tokens if not 0 <= token < self._vocabulary), None)
        if wrong is not None:
            raise EngineError(f"Token id {wrong} is out of vocabulary (0 to {self._vocabulary - 1}).", param="prompt")
        return tokens

    def answer_length(self, prompt: list[int], wanted: int | None, *, param: str) -> int:
        """How many tokens the answer may have: as many as are wanted, but no more than there is room for.

        Raises:
            EngineError: the prompt is empty, it leaves no room, or more is wanted than any answer could have.
        """
        if not prompt:
            raise EngineError("The prompt is empty: it has no tokens.", param=param)
        if wanted is not None and wanted > self.max_length:
            raise EngineError(
                f"max_tokens={wanted} cannot be greater than max_model_len={self.max_length}."
                " Please request fewer output tokens.",
                param="max_tokens",
            )
        room = self.max_length - len(prompt)
        if room < (0 if wanted == 0 else 1):
            raise EngineError(
                f"This model's maximum context length is {self.max_length} tokens. However, your {param} has"
                f" {len(prompt)} tokens, which leaves no room for an answer. Please reduce the length of the {param}.",
                param=param,
            )
        return room if wanted is None else min(wanted, room)
