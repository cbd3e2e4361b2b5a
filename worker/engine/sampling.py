"""Choosing the next token of each row, and the log-probabilities of tokens.

Log-probabilities are those of the model itself, before temperature and filters, as vLLM reports them by default.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

_MAX_DRAWS = 64


@dataclass(frozen=True, slots=True)
class SamplingParams:
    """How the answers to one request are to be written; names and meanings are vLLM's.

    Attributes:
        n: answers to write.
        max_tokens: most tokens of an answer; 0 only reads the prompt.
        logprobs: how many of the likeliest tokens to report at each position, besides the chosen one; None: no report.
        prompt_logprobs: the same for the prompt's tokens.
    """

    n: int = 1
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    max_tokens: int = 16
    stop: tuple[str, ...] = ()
    stop_token_ids: frozenset[int] = frozenset()
    seed: int | None = None
    ignore_eos: bool = False
    logprobs: int | None = None
    prompt_logprobs: int | None = None
    include_stop: bool = False
    skip_special: bool = True


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """A token, its log-probability and rank (1: the likeliest), and the likeliest tokens at its position."""

    token: int
    logprob: float
    rank: int
    top: tuple[tuple[int, float], ...]


def sample(
    logits_NV: Tensor, params: Sequence[SamplingParams], generators: Sequence[torch.Generator | None]
) -> list[int]:
    """The next token of each row.

    A row with temperature 0 takes the likeliest token. The others draw from the softmax at their temperature. Top-p is
    exact without sorting the vocabulary: a drawn token belongs to the nucleus exactly when the tokens likelier than
    it weigh less than p together; else it is drawn again.
    """
    rows = [row for row, wanted in enumerate(params) if wanted.temperature > 0]
    everything = len(rows) == len(params)
    tokens: list[int] = [0] * len(params) if everything else logits_NV.argmax(dim=-1).tolist()
    if rows:
        wanted = [params[row] for row in rows]
        logits_RV = logits_NV if everything else logits_NV[rows]
        drawn = _draw(_probabilities(logits_RV, wanted), [p.top_p for p in wanted], [generators[row] for row in rows])
        for row, token in zip(rows, drawn.tolist(), strict=True):
            tokens[row] = token
    return tokens


def _probabilities(logits_RV: Tensor, params: Sequence[SamplingParams]) -> Tensor:
    """Softmax at each row's temperature, after top-k and min-p."""
    temperature_R1 = torch.tensor([[p.temperature] for p in params], device=logits_RV.device)
    logits_RV = logits_RV.float() / temperature_R1.clamp_min(1e-5)
    for row, wanted in enumerate(params):
        if 0 < wanted.top_k < logits_RV.shape[1]:
            smallest = logits_RV[row].topk(wanted.top_k).values[-1]
            logits_RV[row].masked_fill_(logits_RV[row] < smallest, -torch.inf)
    probabilities_RV = logits_RV.softmax(dim=-1)
    if any(wanted.min_p > 0 for wanted in params):
        share_R1 = torch.tensor([[wanted.min_p] for wanted in params], device=logits_RV.device)
        floor_R1 = probabilities_RV.amax(dim=-1, keepdim=True) * share_R1
        probabilities_RV = probabilities_RV.masked_fill(probabilities_RV < floor_R1, 0.0)
        probabilities_RV /= probabilities_RV.sum(dim=-1, keepdim=True)
    return probabilities_RV


def _draw(probabilities_RV: Tensor, top_p: Sequence[float], generators: Sequence[torch.Generator | None]) -> Tensor:
    """One token a row, from its nucleus; one random number a draw, from the row's own generator where it has one."""
    cumulative_RV = probabilities_RV.cumsum(dim=-1)
    chosen_R = _draw_once(cumulative_RV, generators)
    rows = [row for row, limit in enumerate(top_p) if limit < 1.0]
    for _ in range(_MAX_DRAWS):
        rows = _outside_nucleus(probabilities_RV, chosen_R, rows, top_p)
        if not rows:
            return chosen_R
        chosen_R[rows] = _draw_once(cumulative_RV[rows], [generators[row] for row in rows])
    chosen_R[rows] = probabilities_RV[rows].argmax(dim=-1)
    return chosen_R


def _draw_once(cumulative_RV: Tensor, generators: Sequence[torch.Generator | None]) -> Tensor:
    numbers = [[float(torch.rand((), generator=its, dtype=torch.float64))] for its in generators]
    target_R1 = torch.tensor(numbers, dtype=cumulative_RV.dtype, device=cumulative_RV.device) * cumulative_RV[:, -1:]
    found_R1 = torch.searchsorted(cumulative_RV, target_R1, right=True)
    return found_R1.squeeze(1).clamp_max(cumulative_RV.shape[1] - 1)


def _outside_nucleus(probabilities_RV: Tensor, chosen_R: Tensor, rows: list[int], top_p: Sequence[float]) -> list[int]:
    """Those of `rows` in which the tokens likelier than the chosen one already weigh `top_p` together.

    They weigh no more than what the chosen one leaves, so most draws need no look at the vocabulary.
    """
    own = probabilities_RV.gather(1, chosen_R.unsqueeze(1)).squeeze(1).tolist()
    doubtful = [row for row in rows if 1.0 - own[row] >= top_p[row]]
    if not doubtful:
        return []
    weights_RV = probabilities_RV[doubtful]
    chosen_R1 = weights_RV.gather(1, chosen_R[doubtful].unsqueeze(1))
    likelier = weights_RV.masked_fill_(weights_RV <= chosen_R1, 0.0).sum(dim=-1).tolist()
    return [row for row, weight in zip(doubtful, likelier, strict=True) if weight >= top_p[row]]


def token_logprobs(logits_NV: Tensor, tokens: Sequence[int], top: int) -> list[TokenLogprob]:
    """Log-probabilities of `tokens`, one a row, with the `top` likeliest beside each."""
    logprobs_NV = logits_NV.float().log_softmax(dim=-1)
    index_N1 = torch.tensor(tokens, device=logits_NV.device).unsqueeze(1)
    own_N1 = logprobs_NV.gather(1, index_N1)
    rank_N = (logprobs_NV > own_N1).sum(dim=-1) + 1
    best = logprobs_NV.topk(top, dim=-1) if top else None
    values = best.values.tolist() if best else [[]] * len(tokens)
    indices = best.indices.tolist() if best else [[]] * len(tokens)
    return [
        TokenLogprob(token, own, rank, tuple(zip(ids, logprobs, strict=True)))
        for token, own, rank, ids, logprobs in zip(
            tokens, own_N1.squeeze(1).tolist(), rank_N.tolist(), indices, values, strict=True
        )
    ]
