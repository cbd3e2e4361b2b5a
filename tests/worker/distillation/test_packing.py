"""A packed tree of tokens gives what each sequence gives by itself."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import LlamaModel

from worker.distillation.packing import Exchange, pack, split_by_size
from worker.distillation.student import Student, UnsuitableModel, load_base
from worker.distillation.teacher import targets

EXCHANGES = [
    Exchange((1, 5, 6, 7, 8), (20, 21, 2)),
    Exchange((1, 5, 6, 7, 8), (20, 22, 23, 2)),  # another answer to the same prompt
    Exchange((1, 5, 6, 9), (30, 2)),
    Exchange((40, 41), (2,)),  # shares nothing
    Exchange((1, 5, 6, 7, 8), (20, 21, 2)),  # the first again
]


def test_shared_tokens_are_there_once_and_answers_are_found_in_order() -> None:
    packed = pack(EXCHANGES)
    assert packed.tokens.tolist() == [1, 5, 6, 7, 8, 20, 21, 22, 23, 9, 30, 40, 41]
    assert packed.positions.tolist() == [0, 1, 2, 3, 4, 5, 6, 6, 7, 3, 4, 0, 1]
    assert packed.answer_index.tolist() == [4, 5, 6, 4, 5, 7, 8, 9, 10, 12, 4, 5, 6]


def test_a_token_attends_to_its_ancestors_alone() -> None:
    packed = pack(EXCHANGES)
    seen = [packed.tokens[row].tolist() for row in packed.mask]
    assert seen[8] == [1, 5, 6, 7, 8, 20, 22, 23]
    assert seen[10] == [1, 5, 6, 9, 30]
    assert seen[12] == [40, 41]


def test_packed_hidden_states_are_those_of_plain_sequences(student: Student) -> None:
    together = student.hidden(pack(EXCHANGES))
    alone = torch.cat([_plain(student, exchange) for exchange in EXCHANGES])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("row_tokens", [1, 12, 10_000])
def test_teacher_targets_are_those_of_plain_passes(
    monkeypatch: pytest.MonkeyPatch, student: Student, row_tokens: int
) -> None:
    monkeypatch.setattr("worker.distillation.teacher.ROW_TOKENS", row_tokens)
    for found, exchange in zip(targets(student, EXCHANGES), EXCHANGES, strict=True):
        torch.testing.assert_close(found, _plain(student, exchange), rtol=1e-4, atol=1e-5)


def test_rows_keep_their_size_and_lose_nothing() -> None:
    runs = list(split_by_size(EXCHANGES, 9))
    assert [exchange for run in runs for exchange in run] == EXCHANGES
    assert all(len(pack(run).tokens) <= 9 for run in runs)
    assert len(runs) > 1


def _plain(student: Student, exchange: Exchange) -> torch.Tensor:
    """An ordinary causal pass over one sequence, by the network's own code."""
    tokens = torch.tensor([exchange.inputs])
    with torch.no_grad():
        output = student.model(tokens, output_hidden_states=True)
    states: torch.Tensor = output.hidden_states[-1][0]
    return states[len(exchange.prompt) - 1 :]


def test_a_model_whose_window_is_too_narrow_is_refused(student: Student, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(student, "window", 7)
    with pytest.raises(UnsuitableModel, match="window of 7"):
        student.hidden(pack(EXCHANGES))


def test_a_model_that_mixes_branches_is_refused(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a recurrent layer would: here the mask is ignored."""
    plain = LlamaModel.forward

    def without_mask(self: Any, *arguments: Any, **named: Any) -> Any:
        return plain(self, *arguments, **{**named, "attention_mask": None})

    monkeypatch.setattr(LlamaModel, "forward", without_mask)
    with pytest.raises(UnsuitableModel, match="no plain attention"):
        load_base(tiny_model, torch.device("cpu"), torch.float32)
