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


def test_both_ways_take_time() -> None:
    took = measure(torch.randn(512, 64), torch.randn(4, 10, 64)[:, -1:], times=3)
    assert all(0 < each < 1000 for each in took)
