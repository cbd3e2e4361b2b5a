"""Key/value slots: one preallocated row of cache for each running sequence, written in place.

A row's token at position p lies at index p of its slot, so rows of any length share a batch without moving what is
there: a new row is written beside the others, and a row that leaves is overwritten by the last one. Transformers'
`DynamicCache` instead copies the whole cache for each generated token; at 64 rows of 350 tokens that copy alone costs
more than the attention.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

ATTENTION = "ingrain_slots"
_FIRST_CAPACITY = 256


@dataclass(frozen=True, slots=True)
class CacheShape:
    """What one token needs in the cache."""

    layers: int
    kv_heads: int
    head_size: int
    dtype: torch.dtype
    device: torch.device

    @property
    def token_bytes(self) -> int:
        """Bytes of keys and values of one token."""
        return self.layers * 2 * self.kv_heads * self.head_size * self.dtype.itemsize


class Slots:
    """The cache of all running sequences; `store` is [layer, key|value, row, kv head, position, head size]."""

    def __init__(self, shape: CacheShape, rows: int, max_length: int) -> None:
        self.shape = shape
        self.rows = rows
        self._max_length = max_length
        self.store = self._allocate(min(_FIRST_CAPACITY, max_length))

    def _allocate(self, capacity: int) -> Tensor:
        shape = self.shape
        size = (shape.layers, 2, self.rows, shape.kv_heads, capacity, shape.head_size)
        return torch.zeros(size, dtype=shape.dtype, device=shape.device)

    def reserve(self, length: int) -> None:
        """Make every slot at least `length` tokens long, by doubling."""
        capacity = self.store.shape[4]
        if length <= capacity:
            return
        while capacity < length:
            capacity *= 2
        grown = self._allocate(min(capacity, self._max_length))
        grown[:, :, :, :, : self.store.shape[4]] = self.store
        self.store = grown

    def copy_row(self, source: int, target: int, length: int) -> None:
        """Make `target` hold the first `length` tokens of `source`."""
        self.store[:, :, target, :, :length] = self.store[:, :, source, :, :length]

    def read(self, row: int, start: int, end: int) -> Tensor:
        """A copy of a row's tokens: [layer, key|value, kv head, token, head size]."""
        return self.store[:, :, row, :, start:end].clone()

    def write(self, row: int, start: int, block: Tensor) -> None:
        """Put what `read` returned at `start` of a row."""
        self.store[:, :, row, :, start : start + block.shape[3]] = block


class StepCache:
    """What the model sees as its cache during one forward pass; transformers calls only `update` of it.

    Args:
        slots: where keys and values live.
        rows: the slots of this pass's batch: a slice where they lie side by side (no copy), else indices.
        writes: for each token to keep: its row in the batch, its column in the input, its slot, its position.
        length: how many positions of the slots the pass looks at.
    """

    def __init__(
        self, slots: Slots, rows: slice | Tensor, writes: tuple[Tensor, Tensor, Tensor, Tensor], length: int
    ) -> None:
        self._slots = slots
        self._rows = rows
        self._batch_N, self._column_N, self._slot_N, self._position_N = writes
        self._length = length

    def update(self, key: Tensor, value: Tensor, layer: int, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Write this pass's keys and values ([batch, kv head, token, head size]); return all that rows may look at."""
        store = self._slots.store[layer]
        for index, new in enumerate((key, value)):
            store[index][self._slot_N, :, self._position_N] = new[self._batch_N, :, self._column_N]
        return store[0][self._rows, :, : self._length], store[1][self._rows, :, : self._length]

    def get_seq_length(self, *_: Any) -> int:
        """Transformers asks for it to number positions; they are always given, so it is never used."""
        return 0


def slot_attention(
    _module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor,
    scaling: float,
    **_: Any,
) -> tuple[Tensor, None]:
    """Attention that never repeats keys for grouped queries: a group's queries become one head's extra query rows.

    Args:
        _module: the attention layer, which transformers passes.
        query: [batch, head, token, head size].
        key: [batch, kv head, position, head size].
        value: as `key`.
        attention_mask: additive, [batch, 1, token, position].
        scaling: factor of the scores.

    Returns:
        [batch, token, head, head size], and no attention weights.
    """
    batch, heads, tokens, size = query.shape
    kv_heads = key.shape[1]
    group = heads // kv_heads
    packed = query.reshape(batch, kv_heads, group * tokens, size)
    mask = attention_mask if tokens == 1 else attention_mask.repeat(1, 1, group, 1)
    out = scaled_dot_product_attention(packed, key, value, attn_mask=mask, scale=scaling)
    return out.view(batch, heads, tokens, size).transpose(1, 2), None
