"""Sampling draws from exactly the distribution that was asked for."""

import math
from collections import Counter

import pytest
import torch

from worker.engine.sampling import SamplingParams, sample, token_logprobs

LOGITS = torch.tensor([2.0, 1.0, 0.5, 0.0, -1.0, -5.0])


def _share(params: SamplingParams, draws: int = 4000) -> list[float]:
    torch.manual_seed(0)
    rows = 500
    counts: Counter[int] = Counter()
    for _ in range(draws // rows):
        counts.update(sample(LOGITS.repeat(rows, 1), [params] * rows, [None] * rows))
    return [counts[token] / draws for token in range(len(LOGITS))]


def _nucleus(temperature: float, top_p: float) -> list[float]:
    """The plain way: sort, keep what is needed for top_p, divide again."""
    probabilities = (LOGITS / temperature).softmax(-1)
    ordered = probabilities.sort(descending=True)
    before = ordered.values.cumsum(0) - ordered.values
    kept = torch.zeros_like(probabilities)
    kept[ordered.indices[before < top_p]] = 1
    weighted = probabilities * kept
    return list((weighted / weighted.sum()).tolist())


@pytest.mark.parametrize(("temperature", "top_p"), [(1.0, 1.0), (0.7, 1.0), (1.5, 0.9), (1.0, 0.6), (1.0, 0.3)])
def test_temperature_and_top_p(temperature: float, top_p: float) -> None:
    found = _share(SamplingParams(temperature=temperature, top_p=top_p))
    assert found == pytest.approx(_nucleus(temperature, top_p), abs=0.03)


def test_top_k_and_min_p_cut_the_tail() -> None:
    best = LOGITS[:2].softmax(-1).tolist()
    assert _share(SamplingParams(top_k=2)) == pytest.approx([*best, 0, 0, 0, 0], abs=0.03)
    floor = math.exp(LOGITS[1] - LOGITS[0]) - 0.01  # just below the second token's share of the first's
    assert _share(SamplingParams(min_p=floor)) == pytest.approx([*best, 0, 0, 0, 0], abs=0.03)


def test_rows_of_a_batch_keep_to_their_own_parameters_and_seeds() -> None:
    params = [SamplingParams(temperature=0), SamplingParams(top_k=1), SamplingParams(seed=1), SamplingParams(seed=2)]
    drawn = []
    for beside in (1, 3):
        generators = [None, None, *(torch.Generator().manual_seed(seed) for seed in (1, 2))]
        logits = LOGITS.repeat(4, 1)
        torch.manual_seed(beside)
        drawn.append([sample(logits, params, generators) for _ in range(20)])
    assert [row[:2] for row in drawn[0]] == [[0, 0]] * 20
    assert [row[2:] for row in drawn[0]] == [row[2:] for row in drawn[1]]


def test_logprobs_and_ranks() -> None:
    entries = token_logprobs(LOGITS.repeat(2, 1), [2, 0], top=2)
    expected = LOGITS.log_softmax(-1).tolist()
    assert [entry.logprob for entry in entries] == pytest.approx([expected[2], expected[0]])
    assert [entry.rank for entry in entries] == [3, 1]
    assert [token for token, _ in entries[0].top] == [0, 1]
    assert token_logprobs(LOGITS.unsqueeze(0), [1], top=0)[0].top == ()
