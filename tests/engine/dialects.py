"""The two engines of the suite, and everything in which they may differ; all else must be the same on both."""

from dataclasses import dataclass

import pytest

from tests.tiny import VLLM_PYTHON, EmbeddedEngine, VllmEngine


@dataclass(frozen=True)
class Dialect:
    """An engine as the suite meets it.

    Attributes:
        server: what starts it.
        arguments: its command line beyond what both are given. vLLM's build for CPUs gives the base model's rows the
            adapter of the last slot, as soon as that is taken, when adapters answer beside them: so it gets more slots
            than the suite loads adapters. And a tiny model that may indent JSON never ends.
        refused_adapter: the status for an adapter whose files are there and that cannot be served.
        names_missing_folder: whether the refusal of an adapter that is not there names its folder. vLLM hides paths.
        words_for_foreign: what the refusal of another base model's adapter says.
        counts_long_prompts: whether the refusal of a prompt that is too long says how long it is. vLLM counts no
            further than its limit.
        reads_prompts_in_batches: whether `prompt_logprobs` may be asked while other answers are written. vLLM's build
            for CPUs dies of it.
    """

    server: type[EmbeddedEngine] | type[VllmEngine]
    arguments: tuple[str, ...]
    refused_adapter: int
    names_missing_folder: bool
    words_for_foreign: tuple[str, ...]
    counts_long_prompts: bool
    reads_prompts_in_batches: bool


EMBEDDED = Dialect(
    server=EmbeddedEngine,
    arguments=("--max-loras", "4"),
    refused_adapter=400,
    names_missing_folder=True,
    words_for_foreign=("another base model", "192", "128"),
    counts_long_prompts=True,
    reads_prompts_in_batches=True,
)
VLLM = Dialect(
    server=VllmEngine,
    arguments=(
        *("--max-loras", "128"),
        *("--structured-outputs-config", '{"backend": "xgrammar", "disable_any_whitespace": true}'),
    ),
    refused_adapter=500,
    names_missing_folder=False,
    words_for_foreign=("64", "96"),
    counts_long_prompts=False,
    reads_prompts_in_batches=False,
)
DIALECT = EMBEDDED if VLLM_PYTHON is None else VLLM


def on_embedded(reason: str) -> pytest.MarkDecorator:
    """A test of the embedded engine alone, and why vLLM is spared it."""
    return pytest.mark.skipif(DIALECT is VLLM, reason=reason)


def on_vllm(reason: str) -> pytest.MarkDecorator:
    """A test of vLLM alone, and why the embedded engine is spared it."""
    return pytest.mark.skipif(DIALECT is EMBEDDED, reason=reason)
