"""How well the two engines agree: their log-probabilities of the same tokens, by the same adapter.

    python -m benchmarks.agreement --model FOLDER --vllm-python PATH [--adapter FOLDER] [--json PATH]

The embedded engine answers each chat greedily; then both engines are asked for the log-probabilities of those very
tokens, and for what each would have chosen there. Each engine runs alone. Exits with 1 where the mean difference in
bfloat16 is above the goal.
"""

import argparse
import asyncio
import json
import math
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from app.engine.client import EngineClient
from app.errors import ConfigurationError, IngrainError
from benchmarks.engine_process import ENGINES, engine_settings, running_engine
from benchmarks.questions import chats
from benchmarks.random_adapters import make_adapters
from worker.distillation.prompts import Message

GOAL: Final = 0.05
_ADAPTER: Final = "adapter"


@dataclass(frozen=True, slots=True)
class Opinion:
    """What an engine thinks of an answer: each token's log-probability in nats, and its own first choice there."""

    logprobs: list[float]
    choices: list[int]


@dataclass(frozen=True, slots=True)
class Agreement:
    """Absolute differences between the engines, in nats a token.

    Attributes:
        effect: the mean difference that the adapter itself makes, to the base model on the embedded engine.
        same_choice: the share of tokens where both have the same first choice.
    """

    dtype: str
    tokens: int
    effect: float
    mean: float
    median: float
    p99: float
    largest: float
    same_choice: float


def compare(dtype: str, base: Sequence[Opinion], ours: Sequence[Opinion], theirs: Sequence[Opinion]) -> Agreement:
    """Two engines' opinions of the same answers, token by token; and the base model's."""
    found = sorted(differences(ours, theirs))
    pairs = zip(ours, theirs, strict=True)
    same = [one == other for a, b in pairs for one, other in zip(a.choices, b.choices, strict=True)]
    return Agreement(
        dtype=dtype,
        tokens=len(found),
        effect=statistics.fmean(differences(base, ours)),
        mean=statistics.fmean(found),
        median=statistics.median(found),
        p99=found[math.ceil(0.99 * len(found)) - 1],
        largest=found[-1],
        same_choice=statistics.fmean(same),
    )


def differences(some: Sequence[Opinion], others: Sequence[Opinion]) -> list[float]:
    """Of the log-probabilities of each token, absolute."""
    pairs = zip(some, others, strict=True)
    return [abs(one - other) for a, b in pairs for one, other in zip(a.logprobs, b.logprobs, strict=True)]


async def answer(engine: EngineClient, messages: list[Message], tokens: int) -> list[int]:
    """The tokens of the adapter's greedy answer."""
    asked = {"model": _ADAPTER, "messages": messages, "temperature": 0, "max_tokens": tokens, "return_token_ids": True}
    found: list[int] = (await engine.chat(asked))["choices"][0]["token_ids"]
    return found


async def opinion(engine: EngineClient, model: str, messages: list[Message], answer: list[int]) -> Opinion:
    """What a model thinks of an answer on this engine: the prompt's log-probabilities, with the answer behind it.

    Ask for one at a time: vLLM 0.32's build for CPUs dies of a prompt's log-probabilities while others generate.
    """
    rendered = await engine.tokenize({"model": model, "messages": messages, "add_generation_prompt": True})
    prompt = [*rendered["tokens"], *answer]
    asked = {"model": model, "prompt": prompt, "max_tokens": 1, "temperature": 0, "prompt_logprobs": 1}
    body = await engine.complete(asked)
    rows = body["choices"][0]["prompt_logprobs"][-len(answer) :]
    return Opinion(
        logprobs=[float(row[str(token)]["logprob"]) for row, token in zip(rows, answer, strict=True)],
        choices=[next(int(token) for token, told in row.items() if told["rank"] == 1) for row in rows],
    )


async def load(url: str, adapter: Path) -> None:
    """Load the adapter in a folder."""
    async with EngineClient(url) as engine:
        await engine.load_adapter(_ADAPTER, adapter)


async def answers_of(url: str, asked: Sequence[list[Message]], tokens: int) -> list[list[int]]:
    """The adapter's greedy answers to the chats, as tokens."""
    async with EngineClient(url) as engine:
        return list(await asyncio.gather(*(answer(engine, messages, tokens) for messages in asked)))


async def opinions_of(
    url: str, model: str, asked: Sequence[list[Message]], answers: Sequence[list[int]]
) -> list[Opinion]:
    """What the base model or the adapter, which is loaded already, thinks of the answers on the engine at `url`."""
    async with EngineClient(url) as engine:
        return [await opinion(engine, model, messages, found) for messages, found in zip(asked, answers, strict=True)]


def run(options: argparse.Namespace, folder: Path) -> list[Agreement]:
    """Both engines, one after the other, in each dtype.

    Raises:
        IngrainError: an engine did not start, or refused.
    """
    adapter: Path = (options.adapter or folder / _ADAPTER).absolute()
    if not options.adapter:
        make_adapters(options.model, options.rank, [adapter])
    rank = read_rank(adapter)
    embedded, vllm = (
        engine_settings(name, options.model, max_loras=1, max_lora_rank=rank, vllm_python=options.vllm_python)
        for name in ENGINES
    )
    asked = chats()
    agreements = []
    for dtype in options.dtypes:
        with running_engine(embedded, dtype, folder) as url:
            asyncio.run(load(url, adapter))
            answers = asyncio.run(answers_of(url, asked, options.tokens))
            base = asyncio.run(opinions_of(url, embedded.base_model_name, asked, answers))
            ours = asyncio.run(opinions_of(url, _ADAPTER, asked, answers))
        with running_engine(vllm, dtype, folder) as url:
            asyncio.run(load(url, adapter))
            theirs = asyncio.run(opinions_of(url, _ADAPTER, asked, answers))
        agreements.append(compare(dtype, base, ours, theirs))
    return agreements


def read_rank(adapter: Path) -> int:
    """The rank of the adapter in a folder.

    Raises:
        ConfigurationError: it holds none.
    """
    try:
        rank: int = json.loads((adapter / "adapter_config.json").read_text())["r"]
    except (OSError, ValueError, KeyError) as error:
        raise ConfigurationError(f"{adapter} holds no LoRA adapter ({error}). Name one with --adapter.") from None
    return rank


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="folder of the base model")
    parser.add_argument("--adapter", type=Path, help="folder of an adapter; by default one with random weights is made")
    parser.add_argument("--rank", type=int, default=32, help="of the adapter that is made")
    parser.add_argument("--vllm-python", type=Path, help="the interpreter that has vLLM; by default this one")
    parser.add_argument("--dtypes", nargs="+", choices=["bfloat16", "float32"], default=["bfloat16", "float32"])
    parser.add_argument("--tokens", type=int, default=32, help="longest answer")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    return parser.parse_args()


def main() -> None:
    options = parse()
    try:
        with tempfile.TemporaryDirectory() as folder:
            agreements = run(options, Path(folder))
    except IngrainError as error:
        sys.exit(f"agreement: {error.detail}")
    table = Table(title="embedded engine and vLLM: difference of log-probabilities, nats a token")
    for heading in (
        "dtype",
        "tokens",
        "the adapter's effect",
        "mean",
        "median",
        "99 %",
        "largest",
        "same first choice",
    ):
        table.add_column(heading, justify="right")
    for each in agreements:
        nats = [f"{value:.2g}" for value in (each.effect, each.mean, each.median, each.p99, each.largest)]
        table.add_row(each.dtype, str(each.tokens), *nats, f"{100 * each.same_choice:.1f} %")
    console = Console(width=140)
    console.print(table)
    console.print(f"Goal: a mean of at most {GOAL} in bfloat16.")
    if options.json:
        given: dict[str, Any] = {name: str(value) for name, value in vars(options).items()}
        written = {"options": given, "agreements": [asdict(each) for each in agreements]}
        options.json.write_text(json.dumps(written, indent=1))
    sys.exit(any(each.mean > GOAL for each in agreements if each.dtype == "bfloat16"))


if __name__ == "__main__":
    main()
