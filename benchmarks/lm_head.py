"""What an LM head takes for the last position of each row, as a slice of the pass and as one block.

    python -m benchmarks.lm_head [--vocabulary 151936] [--width 896] [--rows 1 16] [--dtypes bfloat16 float32]

A pass over prompts needs the logits of their last positions alone, which lie apart in memory. The engine and the
training copy them together first (`worker.device.give_head_whole_blocks`). Prints the median milliseconds of both, on
the CPU.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.nn.functional import linear

from worker.device import one_block
from worker.distillation.student import use_all_cores

COLUMNS = 100  # positions of each row, of which the last is used


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vocabulary", type=int, default=151_936)
    parser.add_argument("--width", type=int, default=896, help="hidden size")
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--dtypes", nargs="+", default=["bfloat16", "float32"], choices=("bfloat16", "float32"))
    parser.add_argument("--times", type=int, default=5)
    options = parser.parse_args()
    use_all_cores()
    table = Table(title=f"{options.width} x {options.vocabulary}, {torch.get_num_threads()} threads, median ms")
    for heading in ("dtype", "rows", "a slice", "one block", "ratio"):
        table.add_column(heading, justify="left" if heading == "dtype" else "right")
    for name in options.dtypes:
        dtype = getattr(torch, name)
        head_VD = torch.randn(options.vocabulary, options.width).to(dtype)
        for rows in options.rows:
            hidden_RTD = torch.randn(rows, COLUMNS, options.width).to(dtype)
            slice_ms, block_ms = measure(head_VD, hidden_RTD[:, -1:], options.times)
            ratio = f"{slice_ms / block_ms:.1f}"
            table.add_row(name, str(rows), f"{slice_ms:.1f}", f"{block_ms:.1f}", ratio)
    Console(width=100).print(table)


@torch.inference_mode()
def measure(head_VD: Tensor, last_R1D: Tensor, times: int) -> tuple[float, float]:
    """Median milliseconds of the product with a slice as it lies and with a copy of it in one block, in turns."""
    ways: tuple[Callable[[], Tensor], ...] = (
        lambda: linear(last_R1D, head_VD),
        lambda: linear(one_block(last_R1D), head_VD),
    )
    spent: tuple[list[float], ...] = ([], [])
    for turn in range(times + 1):
        for way, seconds in zip(ways, spent, strict=True):
            began = time.perf_counter()
            way()
            if turn:  # the first one warms up
                seconds.append(time.perf_counter() - began)
    slice_ms, block_ms = (1000 * statistics.median(seconds) for seconds in spent)
    return slice_ms, block_ms


if __name__ == "__main__":
    main()
