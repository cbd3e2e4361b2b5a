"""What the teacher wants, computed once: its last hidden states where each answer is predicted.

Times the LM head they are its exact distributions, over the whole vocabulary and at any temperature, at D numbers a
token instead of V. All questions about a passage lie in one row, so that the passage is computed once for all of them.
The same function gives the base model's own targets for the retention term: those prompts have no passage.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from worker.distillation.packing import Exchange, pack, split_by_size
from worker.distillation.student import Student

ROW_TOKENS = 1024  # of one forward pass; attention grows with its square


@torch.no_grad()
def targets(
    student: Student,
    exchanges: Sequence[Exchange],
    tell: Callable[[int], None] = lambda _: None,
    temperature: float = 1.0,
) -> list[Tensor]:
    """For each exchange, in order, the base model's last hidden states: (answer tokens, D), on the CPU.

    Args:
        student: asked with its adapter off.
        exchanges: prompts (with the passage, for a teacher) and answers.
        tell: called with the number of exchanges that are done.
        temperature: of the teacher's distributions. The states are divided by it, so that their logits are.
    """
    order = sorted(range(len(exchanges)), key=lambda index: exchanges[index].inputs)  # alike ones side by side
    found: dict[int, Tensor] = {}
    with student.as_base():
        for run in split_by_size((exchanges[index] for index in order), ROW_TOKENS):
            hidden_ND = student.hidden(pack(run)).cpu()
            lengths = [len(exchange.answer) for exchange in run]
            for part in torch.split(hidden_ND, lengths):
                found[order[len(found)]] = part / temperature  # no view, which would keep its whole row alive
            tell(len(found))
    return [found[index] for index in range(len(exchanges))]
