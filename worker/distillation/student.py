"""The network of teacher and student: the base model with a LoRA adapter, switched on or off.

With the adapter off it is the base model, and with a passage in its prompt the teacher; with the adapter on it is the
student. Only the adapter's weights are ever trained, and they are kept in float32 whatever the base is in; a pass
computes with them in bfloat16 where the base is in it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Literal

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from peft.helpers import disable_input_dtype_casting
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer

from worker.cores import usable_cores
from worker.device import expect_many_shapes, give_head_whole_blocks
from worker.distillation.packing import Exchange, Pack, pack
from worker.distillation.rendering import Renderer

Layers = Literal["all-linear"] | list[str]
EVERY_LAYER: Final[Literal["all-linear"]] = "all-linear"  # but the LM head


class UnsuitableModel(ValueError):
    """The base model is built in a way that this method does not handle."""


class Student:
    """A base model and its adapter on one device.

    Attributes:
        model: the peft model, for saving and generation.
        renderer: chats as tokens.
        head_VD: weight of the LM head.
        device: where it runs.
        window: how far back the narrowest layer looks, in tokens; None if all look back to the beginning.
    """

    def __init__(self, model: PeftModel, renderer: Renderer) -> None:
        self.model = model
        self.renderer = renderer
        base: Any = model.get_base_model()
        self._decoder = base.get_decoder()
        self.window = _window(base)
        self.head_VD: Tensor = base.get_output_embeddings().weight
        self.device = self.head_VD.device
        self.end_tokens = _end_tokens(base, renderer.tokenizer)

    def hidden(self, pack: Pack) -> Tensor:
        """The last hidden states, after the final norm, where the pack's answers are predicted: (answers, D).

        Raises:
            UnsuitableModel: the pack reaches beyond the model's attention window, which a tree's mask does not draw.
        """
        depth = int(pack.positions.max())
        if self.window is not None and depth >= self.window:
            raise UnsuitableModel(
                f"{depth + 1} tokens do not fit into this model's attention window of {self.window}. Choose fewer "
                "words a passage (passage_words)."
            )
        mixed = self.head_VD.dtype is torch.bfloat16
        with (
            torch.autocast(self.device.type, torch.bfloat16, enabled=mixed),
            disable_input_dtype_casting(self.model, active=mixed),
        ):
            return _hidden(self._decoder, pack, self.device).to(self.head_VD.dtype)  # autocast makes some norms float32

    @contextmanager
    def as_base(self) -> Iterator[None]:
        """Inside, the adapter is off: the base model, and the teacher if a passage is in the prompt."""
        with self.model.disable_adapter():
            yield

    def trained_parameters(self) -> dict[str, torch.nn.Parameter]:
        """The adapter's weights by name."""
        return {name: weight for name, weight in self.model.named_parameters() if weight.requires_grad}

    def save(self, folder: Path) -> None:
        """Write the adapter in PEFT's own layout, safetensors alone."""
        folder.mkdir(parents=True, exist_ok=True)
        self.model.save_pretrained(str(folder), safe_serialization=True, save_embedding_layers=False)
        (folder / "README.md").unlink(missing_ok=True)


def use_all_cores() -> None:
    """One thread a core that this process may use; more only wait for each other."""
    torch.set_num_threads(usable_cores())


def load_base(folder: Path, device: torch.device, dtype: torch.dtype) -> tuple[Any, Renderer]:
    """The base model, frozen, and its renderer.

    Raises:
        UnsuitableModel: its logits are not its last hidden states times its LM head, or it cannot read a tree.
    """
    expect_many_shapes(device)
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    model: Any = AutoModelForCausalLM.from_pretrained(
        folder,
        dtype=dtype,
        attn_implementation="sdpa",
        local_files_only=True,
        use_safetensors=True,
        trust_remote_code=False,
    )
    give_head_whole_blocks(model)
    model.to(device).eval().requires_grad_(False)
    _check_head(model)
    _check_tree(model)
    return model, Renderer(tokenizer, _end_tokens(model, tokenizer))


def new_student(
    folder: Path, rank: int, seed: int, device: torch.device, dtype: torch.dtype, layers: Layers = EVERY_LAYER
) -> Student:
    """A student with a fresh adapter, which changes nothing yet: its second matrices are zero.

    The seed fixes its first ones. `alpha` is twice the rank, so that a learning rate suits every rank alike.
    `layers` are what the adapter lies on, as PEFT's `target_modules` has it.

    Raises:
        UnsuitableModel: as `load_base`, or the model has no layer of a name that is asked for.
    """
    base, renderer = load_base(folder, device, dtype)
    there = {name.rpartition(".")[2] for name, _ in base.named_modules()}
    missing = [] if layers == EVERY_LAYER else sorted({*layers} - there)
    if missing:
        raise UnsuitableModel(f"This {base.config.model_type} model has no layers called {', '.join(missing)}.")
    torch.manual_seed(seed)
    config = LoraConfig(
        r=rank, lora_alpha=2 * rank, target_modules=layers, lora_dropout=0.0, bias="none", task_type="CAUSAL_LM"
    )
    return Student(get_peft_model(base, config, autocast_adapter_dtype=True), renderer)


def load_student(folder: Path, adapter: Path, device: torch.device, dtype: torch.dtype) -> Student:
    """A student with a trained adapter, for examination."""
    base, renderer = load_base(folder, device, dtype)
    return Student(PeftModel.from_pretrained(base, str(adapter), is_trainable=False).eval(), renderer)


def _hidden(decoder: Any, pack: Pack, device: torch.device) -> Tensor:
    output = decoder(
        input_ids=pack.tokens.to(device)[None],
        position_ids=pack.positions.to(device)[None],
        attention_mask=pack.mask.to(device)[None, None],
        use_cache=False,
    )
    hidden_ND: Tensor = output.last_hidden_state[0]
    return hidden_ND[pack.answer_index.to(device)]


def _window(model: Any) -> int | None:
    """How far back the model's narrowest layer looks; None if all look back to the beginning."""
    config = model.config.get_text_config()
    if "sliding_attention" not in (getattr(config, "layer_types", None) or ()):
        return None
    window: int | None = config.sliding_window
    return window


def _end_tokens(model: Any, tokenizer: Any) -> list[int]:
    ends = model.generation_config.eos_token_id
    ends = ends if isinstance(ends, list) else [ends]
    return [end for end in ends if end is not None] or [tokenizer.eos_token_id]


@torch.no_grad()
def _check_head(model: Any) -> None:
    tokens = torch.arange(4, 12, device=model.device)[None]
    output = model(tokens, output_hidden_states=True)
    logits = output.hidden_states[-1] @ model.get_output_embeddings().weight.T
    scale = output.logits.float().abs().max().clamp(min=1e-3)
    if (logits.float() - output.logits.float()).abs().max() > 0.02 * scale:
        raise UnsuitableModel(
            f"The logits of this {model.config.model_type} model are not its last hidden states times its LM head "
            "(soft-capping, scaling or a bias), which the loss relies on. Choose a Llama, Qwen or Mistral model."
        )


@torch.no_grad()
def _check_tree(model: Any) -> None:
    """Two branches in one row have to give what each gives alone; recurrent layers, for one, would mix them."""
    branches = [Exchange((4, 5, 6), (7, 8, 9)), Exchange((4, 5, 6), (10, 11, 12))]
    together = _hidden(model.get_decoder(), pack(branches), model.device).float()
    plain = [model.get_decoder()(torch.tensor([branch.inputs], device=model.device)) for branch in branches]
    alone = torch.cat([output.last_hidden_state[0, len(branches[0].prompt) - 1 :] for output in plain]).float()
    if (together - alone).abs().max() > 0.1 * alone.abs().max():
        raise UnsuitableModel(
            f"This {model.config.model_type} model has layers that are no plain attention, so that questions about one "
            "passage cannot share it. Choose a Llama, Qwen or Mistral model."
        )
