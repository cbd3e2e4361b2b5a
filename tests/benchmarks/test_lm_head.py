"""The LM head of slices and of blocks: that both are measured and told."""

import pytest
import torch

from benchmarks.lm_head import main, measure


def test_each_dtype_and_number_of_rows_has_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        "sys.argv", ["lm_head", "--vocabulary", "64", "--width", "8", "--rows", "2", "3", "--times", "1"]
    )
    main()
    told = capsys.readouterr().out
    assert told.count("bfloat16") == told.count("float32") == 2
    assert "8 x 64" in told


def test_a_slice_is_measured_as_it_lies_and_then_as_one_block(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]

    def multiply(states: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
        clock[0] += 1.0 if states.stride() == (8, 8, 1) else 3.0
        return states

    monkeypatch.setattr("benchmarks.lm_head.linear", multiply)
    monkeypatch.setattr("benchmarks.lm_head.time.perf_counter", lambda: clock[0])
    assert measure(torch.randn(64, 8), torch.randn(4, 10, 8)[:, -1:], times=3) == (3000, 1000)
