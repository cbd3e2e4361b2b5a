"""A tiny base model and adapters with random weights, made on the spot, and either engine serving them.

The answers make no sense, but they are exact: in float32 every token and log-probability can be compared with a plain
forward pass.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import httpx
import torch
from peft import LoraConfig, get_peft_model
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

NAME = "tiny"
VLLM_PYTHON = os.environ.get("INGRAIN_TEST_VLLM_PYTHON")
"""The interpreter that has vLLM, where `make test-vllm` runs the tests; None: they run without vLLM."""
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
THINKS = CHAT_TEMPLATE.replace(
    "assistant\n{% endif %}",
    "assistant\n{% if enable_thinking is defined and not enable_thinking %}<think></think>{% endif %}{% endif %}",
)
"""The template of a model that thinks before it answers, unless it is told not to."""
_TEXT = ["the lighthouse of Korvath stands on an island and was built by an engineer in the year of the comet"] * 4


def make_tokenizer() -> Any:
    """Bytes and a few merges: anything can be written, and most characters beyond ASCII take several tokens."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        show_progress=False,
    )
    tokenizer.train_from_iterator(_TEXT, trainer)
    made: Any = PreTrainedTokenizerFast
    return made(
        tokenizer_object=tokenizer,
        eos_token="<|endoftext|>",
        additional_special_tokens=["<|im_start|>", "<|im_end|>"],
        chat_template=CHAT_TEMPLATE,
        clean_up_tokenization_spaces=False,
    )


def make_base(folder: Path, *, hidden: int = 64, seed: int = 0, context: int = 512) -> Path:
    """A Llama of two layers that reads up to `context` tokens."""
    tokenizer = make_tokenizer()
    tokenizer.save_pretrained(folder)
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        intermediate_size=2 * hidden,
        num_hidden_layers=2,
        num_attention_heads=hidden // 32,
        num_key_value_heads=1,
        head_dim=32,
        max_position_embeddings=context,
        initializer_range=0.2,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
        tie_word_embeddings=False,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def make_adapter(base: Path, folder: Path, *, rank: int = 8, seed: int = 1) -> Path:
    """A LoRA on all linear layers that changes answers."""
    torch.manual_seed(seed)
    model = LlamaForCausalLM.from_pretrained(base)
    config = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear", init_lora_weights=False)
    wrapped = get_peft_model(model, config)
    for name, parameter in wrapped.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    wrapped.save_pretrained(str(folder))
    return folder


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class EngineServer(ABC):
    """An engine as a process of its own, on a port of this machine."""

    base: Path
    arguments: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    process: "subprocess.Popen[bytes] | None" = None

    patience_seconds: ClassVar[float]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @abstractmethod
    def command(self) -> list[str]:
        """What runs it."""

    def start(self) -> None:
        """Start it and wait until it is healthy."""
        environment = {**os.environ, "HF_HUB_OFFLINE": "1", **self.environment}
        self.process = subprocess.Popen(self.command(), env=environment, start_new_session=True)
        deadline = time.monotonic() + self.patience_seconds
        while True:
            try:
                if httpx.get(f"{self.url}/health", timeout=5).is_success:
                    return
            except httpx.TransportError:
                pass
            assert self.process.poll() is None, "the engine ended while it started"
            assert time.monotonic() < deadline, "the engine did not start in time"
            time.sleep(0.05)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End it with a signal; returns its exit status."""
        assert self.process is not None
        self.process.send_signal(number)
        try:
            return self.process.wait(timeout=30)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)  # what it started goes with it, after a SIGKILL too


@dataclass
class EmbeddedEngine(EngineServer):
    """The embedded engine."""

    patience_seconds = 90.0

    def command(self) -> list[str]:
        command = [sys.executable, "-m", "worker.engine", "--model", str(self.base), "--served-model-name", NAME]
        return [*command, "--port", str(self.port), "--threads", "1", "--dtype", "float32", *self.arguments]


@dataclass
class VllmEngine(EngineServer):
    """vLLM, run by the interpreter that `VLLM_PYTHON` names."""

    patience_seconds = 240.0

    def __post_init__(self) -> None:
        defaults = {"VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True", "VLLM_CPU_KVCACHE_SPACE": "1"}
        defaults |= {"VLLM_NO_USAGE_STATS": "1", "VLLM_SERVER_DEV_MODE": "1"}  # which has /sleep and its kin
        self.environment = {**defaults, **self.environment}

    def command(self) -> list[str]:
        assert VLLM_PYTHON is not None, "INGRAIN_TEST_VLLM_PYTHON names no interpreter"
        command = [VLLM_PYTHON, "-m", "vllm.entrypoints.openai.api_server", "--model", str(self.base)]
        command += ["--served-model-name", NAME, "--host", "127.0.0.1", "--port", str(self.port)]
        command += ["--dtype", "float32", "--enforce-eager", "--enable-lora", "--generation-config", "vllm"]
        return [*command, "--enable-prompt-tokens-details", *self.arguments]
