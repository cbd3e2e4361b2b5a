"""Slots and trunks against attention over one plain sequence, and the prefix cache's names."""

import mmap
from pathlib import Path

import torch

from worker.engine.prefixes import BLOCK, PrefixCache, block_names
from worker.engine.slots import CacheShape, Slots, StepCache, Trunk, slot_attention

SHAPE = CacheShape(layers=2, kv_heads=2, head_size=8, dtype=torch.float32, device=torch.device("cpu"))
HEADS = 6


def _plain(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """One sequence, [head, token, size]; the last tokens of `key` are those of `query`."""
    key, value = (part.repeat_interleave(HEADS // SHAPE.kv_heads, dim=0) for part in (key, value))
    scores = query @ key.transpose(1, 2) / SHAPE.head_size**0.5
    hidden = torch.ones(query.shape[1], key.shape[1]).triu(key.shape[1] - query.shape[1] + 1).bool()
    out: torch.Tensor = (scores.masked_fill(hidden, -torch.inf).softmax(-1) @ value).transpose(0, 1)
    return out


def test_attention_over_trunks_and_slots_is_plain_attention() -> None:
    """Three rows in slots 2, 0 and 3: two share a trunk, one has none; two new tokens each, the last row padded."""
    torch.manual_seed(0)
    slots = Slots(SHAPE, rows=4, max_length=64)
    trunk = Trunk(b"", torch.randn(2, 2, 2, 5, 8))
    in_slot, order, counts = [3, 1, 6], [2, 0, 3], [2, 2, 1]
    trunks = [trunk, None, trunk]
    past = []
    for slot, length, its in zip(order, in_slot, trunks, strict=True):
        tokens = torch.randn(2, 2, 2, length, 8)
        slots.write(slot, 0, tokens)
        past.append(torch.cat([its.store, tokens], dim=3) if its else tokens)
    query = torch.randn(3, HEADS, 2, 8)
    key, value = torch.randn(2, 3, 2, 2, 8)
    places = [
        (row, 2 - count + token, order[row], in_slot[row] + token)
        for row, count in enumerate(counts)
        for token in range(count)
    ]
    writes = tuple(torch.tensor(column) for column in zip(*places, strict=True))
    assert len(writes) == 4
    length = 7
    cache = StepCache(slots, torch.tensor(order), writes, length, [(torch.tensor([0, 2]), trunk)])
    indices = torch.tensor([[3, 4], [1, 2], [0, 6]])
    mask = torch.where(indices.unsqueeze(-1) >= torch.arange(length), 0.0, torch.finfo().min).unsqueeze(1)
    out, _ = slot_attention(None, query, *cache.update(key, value, 1), mask, SHAPE.head_size**-0.5)
    for row, count in enumerate(counts):
        keys, values = (
            torch.cat([past[row][1, part], new[row, :, 2 - count :]], dim=1) for part, new in enumerate((key, value))
        )
        expected = _plain(query[row, :, 2 - count :], keys, values)
        torch.testing.assert_close(out[row, 2 - count :], expected, atol=1e-5, rtol=1e-5)


def test_slots_take_memory_only_as_they_are_filled() -> None:
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE

    before = resident()
    slots = Slots(SHAPE, rows=64, max_length=100_000)  # 1.6 GB if it were all taken
    tokens = torch.randn(2, 2, 2, 200, 8)
    slots.write(1, 0, tokens)
    slots.reserve(100_000)
    slots.copy_row(1, 0, 200)
    assert torch.equal(slots.read(0, 0, 200), tokens)
    assert not slots.store[0, 0, 5].any()
    assert resident() - before < 100_000_000


def test_names_tell_prefixes_and_adapters_apart() -> None:
    tokens = list(range(3 * BLOCK + 5))
    names = block_names(0, tokens)
    assert len(names) == 3
    assert block_names(0, tokens[: 2 * BLOCK]) == names[:2]
    assert not set(block_names(1, tokens)) & set(names)
    other = block_names(0, [7, *tokens[1:]])
    assert not set(other) & set(names)  # a block after another beginning is another block


def test_the_least_recently_used_blocks_leave() -> None:
    cache = PrefixCache(max_blocks=2)
    block = torch.zeros(1)
    for name in (b"a", b"b"):
        cache.put(name, block)
    assert len(cache.longest([b"a", b"x", b"b"])) == 1
    cache.put(b"c", block)
    assert b"b" not in cache
    assert len(cache) == 2


def test_slots_that_were_dropped_hold_nothing_and_come_back_empty() -> None:
    slots = Slots(SHAPE, rows=4, max_length=64)
    slots.write(1, 0, torch.ones(2, 2, 2, 3, 8))
    slots.restore()
    assert slots.read(1, 0, 3).all()
    slots.drop()
    assert slots.store.untyped_storage().nbytes() == 0
    slots.restore()
    slots.reserve(64)
    assert not slots.read(1, 0, 64).any()
