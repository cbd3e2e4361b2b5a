"""Reuse of prompts' beginnings: keys and values of whole blocks of tokens, found by what stands before them.

A block's name is a hash of its tokens, the name of the block before it and the adapter's load, so equal names mean
equal prefixes; prompts that share a passage or few-shot examples share its blocks, and only the rest is computed.
"""

import hashlib
from array import array
from collections import OrderedDict
from collections.abc import Sequence

from torch import Tensor

BLOCK = 16


def block_names(salt: int, tokens: Sequence[int]) -> list[bytes]:
    """The names of the whole blocks of `tokens`; `salt` is the adapter's load (0: base)."""
    names: list[bytes] = []
    name = salt.to_bytes(8, "little")
    data = array("q", tokens)
    for start in range(0, len(tokens) - BLOCK + 1, BLOCK):
        name = hashlib.blake2b(name + data[start : start + BLOCK].tobytes(), digest_size=16).digest()
        names.append(name)
    return names


class PrefixCache:
    """Blocks by name, the least recently used leave first. Not safe for threads: the model's thread owns it."""

    def __init__(self, max_blocks: int) -> None:
        self._max_blocks = max_blocks
        self._blocks: OrderedDict[bytes, Tensor] = OrderedDict()

    def __len__(self) -> int:
        return len(self._blocks)

    def __contains__(self, name: bytes) -> bool:
        return name in self._blocks

    def longest(self, names: Sequence[bytes]) -> list[Tensor]:
        """The blocks at the beginning of `names` that are known, each [layer, key|value, kv head, BLOCK, head size]."""
        found: list[Tensor] = []
        for name in names:
            block = self._blocks.get(name)
            if block is None:
                break
            self._blocks.move_to_end(name)
            found.append(block)
        return found

    def clear(self) -> None:
        """Forget all blocks."""
        self._blocks.clear()

    def put(self, name: bytes, block: Tensor) -> None:
        """Keep a block, and let the oldest go where there are too many."""
        self._blocks[name] = block
        self._blocks.move_to_end(name)
        while len(self._blocks) > self._max_blocks:
            self._blocks.popitem(last=False)
