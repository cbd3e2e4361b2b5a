"""Forward passes: the base model on its device, with rows at different positions and of different adapters."""

import ctypes
import inspect
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from app.errors import ConfigurationError
from worker.device import expect_many_shapes, give_head_whole_blocks
from worker.engine.slots import ATTENTION, CacheShape, Slots, StepCache, Trunk, slot_attention

log = logging.getLogger(__name__)
_SUPPORTED_LAYERS = {"full_attention", "sliding_attention"}


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some tokens of one sequence to compute, from position `start` on; `slot` holds what comes after `trunk`."""

    slot: int
    start: int
    tokens: list[int]
    adapter: str | None
    trunk: Trunk | None

    @property
    def index(self) -> int:
        """Where in the slot the first token belongs."""
        return self.start - (self.trunk.length if self.trunk else 0)


def load_base_model(folder: Path, device: torch.device, dtype: torch.dtype) -> Any:
    """The base model with the engine's attention.

    Raises:
        ConfigurationError: there is no such model, or it needs what this engine does not do.
    """
    if not (folder / "config.json").is_file():
        raise ConfigurationError(f"{folder} holds no model: it has no config.json.")
    config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    config = config.get_text_config()
    unsupported = set(getattr(config, "layer_types", None) or ()) - _SUPPORTED_LAYERS
    if getattr(config, "attn_logit_softcapping", None):
        unsupported.add("attention logit soft-capping")
    if config.model_type == "gpt_oss":
        unsupported.add("attention sinks")
    if unsupported:
        named = ", ".join(sorted(unsupported))
        raise ConfigurationError(f"The embedded engine cannot run {config.model_type} models ({named}); use vLLM.")
    ALL_ATTENTION_FUNCTIONS.register(ATTENTION, slot_attention)
    expect_many_shapes(device)
    model: Any = AutoModelForCausalLM.from_pretrained(
        folder, dtype=dtype, attn_implementation=ATTENTION, local_files_only=True, use_safetensors=True
    )
    give_head_whole_blocks(model)
    return model.to(device).eval().requires_grad_(False)


class Runner:
    """Runs the model over chunks. `model` is replaced by its peft wrapper once an adapter is loaded."""

    def __init__(self, base: Any, rows: int, max_length: int) -> None:
        config = base.config.get_text_config()
        head_size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        kv_heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
        self.base = base
        self.model = base
        self._active: str | None = None
        self.device: torch.device = base.device
        shape = CacheShape(config.num_hidden_layers, kv_heads, head_size, base.dtype, base.device)
        self.slots = Slots(shape, rows, max_length)
        self.vocabulary: int = config.vocab_size
        layer_types = getattr(config, "layer_types", None) or ()
        window = getattr(config, "sliding_window", None) if getattr(config, "use_sliding_window", True) else None
        self._window: int | None = window
        self._mask_by_layer_type = "sliding_attention" in layer_types
        self.shares_trunks = self.device.type == "cpu" and window is None
        accepted = inspect.signature(base.forward).parameters
        self._cache_argument = "cache" if "cache" in accepted else "past_key_values"

    def run(self, chunks: list[Chunk], *, all_logits: bool = False) -> Tensor:
        """Compute chunks of several sequences and keep their keys and values. Call it in inference mode.

        Returns:
            Logits [chunk, 1, vocabulary] at each chunk's last token; with `all_logits` [chunk, column, vocabulary],
            where a chunk's tokens are the last ones of its columns.
        """
        columns = max(len(chunk.tokens) for chunk in chunks)
        length = max(chunk.index + len(chunk.tokens) for chunk in chunks)
        self.slots.reserve(length)
        ids: list[list[int]] = []
        positions: list[list[int]] = []
        indices: list[list[int]] = []
        batch: list[int] = []
        column: list[int] = []
        slot: list[int] = []
        index: list[int] = []
        for row, chunk in enumerate(chunks):
            count = len(chunk.tokens)
            padding = [0] * (columns - count)
            ids.append(padding + chunk.tokens)
            positions.append(padding + list(range(chunk.start, chunk.start + count)))
            indices.append(padding + list(range(chunk.index, chunk.index + count)))
            batch += [row] * count
            column += range(columns - count, columns)
            slot += [chunk.slot] * count
            index += range(chunk.index, chunk.index + count)
        writes = (self._long(batch), self._long(column), self._long(slot), self._long(index))
        rows = self._rows([chunk.slot for chunk in chunks])
        cache = StepCache(self.slots, rows, writes, length, self._groups(chunks))
        inputs: dict[str, Any] = {
            "input_ids": self._long(ids),
            "position_ids": self._long(positions),
            "attention_mask": self._masks(self._long(indices), length),
            self._cache_argument: cache,
            "use_cache": True,
            "logits_to_keep": 0 if all_logits else 1,
        }
        adapters = {chunk.adapter for chunk in chunks}
        if len(adapters) == 1:
            self.activate(adapters.pop())
        else:
            inputs["adapter_names"] = [chunk.adapter or "__base__" for chunk in chunks]
        logits: Tensor = self.model(**inputs).logits
        return logits

    def sleep(self) -> None:
        """Give the device's memory back: slots are dropped, weights and adapters wait in the main memory."""
        self.slots.drop()
        self.model.to("cpu")
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        elif trim := getattr(ctypes.CDLL(None), "malloc_trim", None):  # glibc keeps what was freed, for itself
            trim(0)

    def wake_up(self) -> None:
        """Undo `sleep`; the slots are empty. Does nothing to one that is awake."""
        self.model.to(self.device)
        self.slots.restore()

    def activate(self, adapter: str | None) -> None:
        """Let one adapter (or none) serve all rows of the passes that name no adapters by row.

        Peft puts a hook on every layer for each pass that names them by row, which takes as long as the adapter itself.
        """
        if self._active != adapter:
            self.model.base_model.set_adapter([adapter] if adapter else [], inference_mode=True)
            self._active = adapter

    def _long(self, values: Any) -> Tensor:
        return torch.tensor(values, dtype=torch.long, device=self.device)

    def _rows(self, slots: list[int]) -> slice | Tensor:
        if slots == list(range(slots[0], slots[0] + len(slots))):
            return slice(slots[0], slots[0] + len(slots))
        return self._long(slots)

    def _groups(self, chunks: list[Chunk]) -> list[tuple[Tensor | slice, Trunk]]:
        """Rows that share a trunk, by trunk."""
        rows: dict[Trunk, list[int]] = {}
        for row, chunk in enumerate(chunks):
            if chunk.trunk:
                rows.setdefault(chunk.trunk, []).append(row)
        whole = slice(None)
        return [(whole if len(its) == len(chunks) else self._long(its), trunk) for trunk, its in rows.items()]

    def _masks(self, indices_RT: Tensor, length: int) -> Tensor | dict[str, Tensor]:
        """Additive masks over slots, [row, 1, column, index]: a token sees what is not after it, nor too far before."""
        keys_L = torch.arange(length, device=self.device)
        behind_RTL = indices_RT.unsqueeze(-1) - keys_L
        full = self._additive(behind_RTL >= 0)
        if self._window is None:
            return full
        sliding = self._additive((behind_RTL >= 0) & (behind_RTL < self._window))
        if self._mask_by_layer_type:
            return {"full_attention": full, "sliding_attention": sliding}
        return sliding

    def _additive(self, seen_RTL: Tensor) -> Tensor:
        mask = torch.zeros(seen_RTL.shape, dtype=self.slots.shape.dtype, device=self.device)
        return mask.masked_fill_(~seen_RTL, torch.finfo(mask.dtype).min).unsqueeze(1)
