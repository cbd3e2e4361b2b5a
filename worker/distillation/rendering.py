"""Chats as tokens, exactly as an engine renders them: the model's own chat template, ready for the answer."""

from collections.abc import Sequence
from typing import Any

from jinja2 import TemplateError

from app.chat_templates import TEMPLATE_ARGUMENTS
from worker.distillation.packing import Exchange
from worker.distillation.prompts import Message

_PROBE = "ANSWER"


class Renderer:
    """Turns chats and answers into token ids. `tokenizer` is the base model's own."""

    def __init__(self, tokenizer: Any, end_tokens: Sequence[int]) -> None:
        """`end_tokens`: the ids at which the model's generation ends (its generation config)."""
        self.tokenizer = tokenizer
        self.end = self._end_of_turn(end_tokens)
        self._takes_system = self._renders_system()
        self._prompts: dict[str, tuple[int, ...]] = {}

    def prompt(self, messages: Sequence[Message]) -> tuple[int, ...]:
        """The tokens of a chat up to where the answer begins."""
        turns = list(messages) if self._takes_system else _without_system(messages)
        text = self.tokenizer.apply_chat_template(
            turns, tokenize=False, add_generation_prompt=True, **TEMPLATE_ARGUMENTS
        )
        if text not in self._prompts:
            self._prompts[text] = tuple(self.tokenizer(text, add_special_tokens=False).input_ids)
        return self._prompts[text]

    def answer(self, text: str) -> tuple[int, ...]:
        """The tokens of a finished answer, the end of the turn last."""
        return (*self.tokenizer(text, add_special_tokens=False).input_ids, self.end)

    def exchange(self, messages: Sequence[Message], answer: str) -> Exchange:
        """A chat and its answer."""
        return Exchange(self.prompt(messages), self.answer(answer))

    def _renders_system(self) -> bool:
        """Whether the template shows a system's turn; some raise an error at one, some leave it out."""
        chat = [{"role": "system", "content": _PROBE}, {"role": "user", "content": "Q"}]
        try:
            return _PROBE in self.tokenizer.apply_chat_template(chat, tokenize=False)
        except TemplateError:
            return False

    def _end_of_turn(self, end_tokens: Sequence[int]) -> int:
        """What the template puts after an answer, where generation ends there; else the tokenizer's end token."""
        chat = [{"role": "user", "content": "Q"}, {"role": "assistant", "content": _PROBE}]
        after = self.tokenizer.apply_chat_template(chat, tokenize=False).rpartition(_PROBE)[2]
        tokens = self.tokenizer(after.lstrip(), add_special_tokens=False).input_ids
        if tokens and tokens[0] in end_tokens:
            return int(tokens[0])
        return int(self.tokenizer.eos_token_id)


def _without_system(messages: Sequence[Message]) -> list[Message]:
    """The chat with what a system says put before the user's first words."""
    first, *turns = messages
    if first["role"] != "system":
        return [first, *turns]
    return [{**turns[0], "content": f"{first['content']}\n\n{turns[0]['content']}"}, *turns[1:]]
