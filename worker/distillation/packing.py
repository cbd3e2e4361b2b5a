"""Many sequences in one row, every shared prefix computed once.

Sequences that begin alike (the same system prompt, the same passage, the same question with several answers) are
merged into a tree of tokens. The tree is one row for the network: a token's position is its depth, and it attends to
its ancestors alone, so that each sequence sees exactly what it would see by itself. There is no padding. With
SmolLM2's default system prompt this saves 22 tokens of each sequence in a batch; for the teacher it saves the whole
passage, for all but one of its questions.

Letters: N tokens in the tree.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Exchange:
    """The tokens of a prompt, and of its answer with the end-of-turn token last."""

    prompt: tuple[int, ...]
    answer: tuple[int, ...]

    @property
    def inputs(self) -> tuple[int, ...]:
        """What the network reads: the last answer token is only predicted."""
        return self.prompt + self.answer[:-1]


@dataclass(frozen=True, slots=True)
class Pack:
    """One row of tokens for the network, and where the answers are predicted in it.

    Attributes:
        tokens: token ids (N,).
        positions: their positions (N,).
        mask: (N, N), True where a token (first index) may attend to another.
        answer_index: tree indices that predict answer tokens, exchange after exchange, in the order they were given.
    """

    tokens: Tensor
    positions: Tensor
    mask: Tensor
    answer_index: Tensor


def pack(exchanges: Sequence[Exchange]) -> Pack:
    """Merge exchanges into one tree."""
    tokens: list[int] = []
    depths: list[int] = []
    parents: list[int] = []
    children: dict[tuple[int, int], int] = {}
    answers: list[int] = []
    for exchange in exchanges:
        node, path = -1, []
        for depth, token in enumerate(exchange.inputs):
            child = children.get((node, token))
            if child is None:
                child = children[(node, token)] = len(tokens)
                tokens.append(token)
                depths.append(depth)
                parents.append(node)
            node = child
            path.append(node)
        answers.extend(path[len(exchange.prompt) - 1 :])
    mask_NN = torch.eye(len(tokens), dtype=torch.bool)
    for node, parent in enumerate(parents):  # a parent always comes before its children
        if parent >= 0:
            mask_NN[node] |= mask_NN[parent]
    return Pack(torch.tensor(tokens), torch.tensor(depths), mask_NN, torch.tensor(answers))


def split_by_size(exchanges: Iterable[Exchange], most_tokens: int) -> Iterator[list[Exchange]]:
    """Runs of exchanges whose tree has at most `most_tokens` tokens (or that are one exchange), order kept.

    Neighbours share the most, so callers put what begins alike side by side.
    """
    run: list[Exchange] = []
    size = 0
    for exchange in exchanges:
        new = len(exchange.inputs) - (common_beginning(run[-1].inputs, exchange.inputs) if run else 0)
        if run and size + new > most_tokens:
            yield run
            run, size, new = [], 0, len(exchange.inputs)
        run.append(exchange)
        size += new
    if run:
        yield run


def common_beginning(left: Sequence[int], right: Sequence[int]) -> int:
    """How many tokens both begin with."""
    for index, (a, b) in enumerate(zip(left, right, strict=False)):
        if a != b:
            return index
    return min(len(left), len(right))
