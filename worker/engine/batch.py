"""The sequences that hold slots: put in with what is known of their prompts, forked, and taken out."""

from typing import Any

import torch

from worker.engine.prefixes import BLOCK, PrefixCache
from worker.engine.runner import Chunk, Runner
from worker.engine.sequences import Request, Sequence
from worker.engine.slots import Trunk
from worker.engine.text import TextStream

_TRUNK_BLOCKS = 8
_TRUNK_SHARE = 0.6
_TRUNKS = 8


class Batch:
    """Running sequences; the one at index i holds slot i."""

    def __init__(self, runner: Runner, tokenizer: Any, prefix_bytes: int) -> None:
        self.sequences: list[Sequence] = []
        self._runner = runner
        self._tokenizer = tokenizer
        self._prefixes = PrefixCache(prefix_bytes // (BLOCK * runner.slots.shape.token_bytes))

    def place(self, request: Request, coming: set[bytes]) -> Sequence | None:
        """A sequence with what the prefix cache knows of its prompt; None where more of it is just being computed."""
        reusable = request.names[: (len(request.prompt) - 1) // BLOCK]
        if request.params.prompt_logprobs is not None:
            reusable = []
        blocks = self._prefixes.longest(reusable)
        if len(blocks) < len(reusable) and reusable[len(blocks)] in coming:
            return None
        sequence = self._sequence(request, 0)
        slot = len(self.sequences)
        self.sequences.append(sequence)
        request.cached_tokens = sequence.computed = len(blocks) * BLOCK
        sequence.trunk = self._trunk(reusable[: len(blocks)], blocks)
        rest = blocks[(sequence.trunk.length if sequence.trunk else 0) // BLOCK :]
        if rest:
            self._runner.slots.reserve(sequence.in_slot)
            self._runner.slots.write(slot, 0, torch.cat(rest, dim=3))
        return sequence

    def _trunk(self, names: list[bytes], blocks: list[torch.Tensor]) -> Trunk | None:
        """A trunk for the known beginning of a prompt: one that others use, if it is most of it, else a new one.

        Each trunk costs every step a little, so there are few, and none for a short beginning.
        """
        if not self._runner.shares_trunks or len(blocks) < _TRUNK_BLOCKS:
            return None
        live = {sequence.trunk.name: sequence.trunk for sequence in self.sequences if sequence.trunk}
        shared = next((live[name] for name in reversed(names) if name in live), None)
        if shared and shared.length >= _TRUNK_SHARE * len(blocks) * BLOCK:
            return shared
        if len(live) >= _TRUNKS:
            return shared
        return Trunk(names[-1], torch.cat(blocks, dim=3))

    def _sequence(self, request: Request, index: int) -> Sequence:
        params = request.params
        text = TextStream(
            self._tokenizer, params.stop, include_stop=params.include_stop, skip_special=params.skip_special
        )
        generator = None if params.seed is None else torch.Generator().manual_seed(params.seed + index)
        return Sequence(request, index, text, generator)

    def fork(self, slot: int) -> list[int]:
        """Slots of all `n` answers to the prompt in `slot`: it was computed once, its slot is copied."""
        first = self.sequences[slot]
        slots = [slot]
        for index in range(1, first.request.params.n):
            sequence = self._sequence(first.request, index)
            sequence.trunk, sequence.computed = first.trunk, first.computed
            slots.append(len(self.sequences))
            self._runner.slots.copy_row(slot, len(self.sequences), first.in_slot)
            self.sequences.append(sequence)
        return slots

    def chunk(self, slot: int, most: int) -> Chunk:
        """The next piece of a sequence: at most `most` tokens of its prompt, or the token that was written last."""
        sequence = self.sequences[slot]
        tokens = sequence.request.prompt[sequence.computed : sequence.computed + most] or (sequence.last_token,)
        return Chunk(slot, sequence.computed, list(tokens), sequence.adapter_name, sequence.trunk)

    def resting(self, slot: int) -> Chunk:
        """A piece that stands in for a sequence which has no part in a pass: what it writes is overwritten later."""
        sequence = self.sequences[slot]
        return Chunk(slot, sequence.computed, [0], sequence.adapter_name, sequence.trunk)

    def keep_prefix(self, slot: int) -> None:
        """Keep the whole blocks of a prompt that its slot holds for prompts to come."""
        sequence = self.sequences[slot]
        skipped = sequence.computed - sequence.in_slot
        for number, name in enumerate(sequence.request.names):
            start = number * BLOCK - skipped
            if start >= 0 and name not in self._prefixes:
                self._prefixes.put(name, self._runner.slots.read(slot, start, start + BLOCK))

    def forget_prefixes(self) -> None:
        """Give back the memory of the prompts' beginnings that were kept."""
        self._prefixes.clear()

    def free(self, slot: int) -> None:
        """Take a sequence out; the last one moves into its slot."""
        last = len(self.sequences) - 1
        if slot != last:
            self._runner.slots.copy_row(last, slot, self.sequences[last].in_slot)
            self.sequences[slot] = self.sequences[last]
        self.sequences.pop()
