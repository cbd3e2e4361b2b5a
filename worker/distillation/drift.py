"""How far an adapter has moved the model where it should not have: on unrelated prompts that no training saw."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from worker.distillation.loss import forward_kl
from worker.distillation.packing import pack
from worker.distillation.retention import Kept
from worker.distillation.student import Student

TOGETHER = 8  # prompts in one forward pass, which share their beginning


@dataclass(frozen=True, slots=True)
class Drift:
    """Over the tokens of the base model's own answers.

    Attributes:
        nats: mean KL(base || student) of a token.
        same_first_choice: share of tokens at which both think the same token likeliest.
        tokens: how many there were.
    """

    nats: float
    same_first_choice: float
    tokens: int


@torch.no_grad()
def measure(student: Student, kept: Sequence[Kept]) -> Drift:
    """The drift of the student's adapter. `kept` comes from `retention.keep` on prompts that no training saw."""
    nats, same, tokens = 0.0, 0, 0
    for start in range(0, len(kept), TOGETHER):
        part = kept[start : start + TOGETHER]
        hidden_ND = student.hidden(pack([each.exchange for each in part]))
        base_ND = torch.cat([each.target for each in part]).to(student.device)
        nats += float(forward_kl(hidden_ND, base_ND, student.head_VD).sum())
        first, base_first = ((hidden @ student.head_VD.T).argmax(-1) for hidden in (hidden_ND, base_ND))
        same += int((first == base_first).sum())
        tokens += len(base_ND)
    return Drift(nats / tokens, same / tokens, tokens)
