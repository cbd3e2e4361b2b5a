"""Adapters in the engine's memory: checked before they are read, loaded and unloaded between two steps."""

import itertools
import json
import logging
import struct
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from peft import PeftConfig, PeftModel

from worker.engine.errors import EngineError, not_found
from worker.engine.runner import Runner
from worker.engine.sequences import Adapter

log = logging.getLogger(__name__)
_WEIGHTS = "adapter_model.safetensors"
_PREFIX = "base_model.model."


class Adapters:
    """The adapters that the engine can serve, by name."""

    def __init__(self, runner: Runner, max_loras: int, max_rank: int) -> None:
        self._runner = runner
        self._max_loras = max_loras
        self._max_rank = max_rank
        self._loads = itertools.count(1)
        self._by_name: dict[str, Adapter] = {}
        self._leaving: set[Adapter] = set()
        modules = dict(runner.base.named_modules())
        self._linear = {name: tuple(m.weight.shape) for name, m in modules.items() if hasattr(m, "in_features")}

    def all(self) -> list[Adapter]:
        """The adapters that new requests may name."""
        return list(self._by_name.values())

    def get(self, name: str) -> Adapter | None:
        """The adapter of that name, if it is loaded."""
        return self._by_name.get(name)

    @property
    def leaving(self) -> bool:
        """Whether an adapter waits for its last user."""
        return bool(self._leaving)

    def check(self, name: str, path: str) -> int:
        """Whether the folder's adapter can be served under this name; returns its rank.

        Raises:
            EngineError: it cannot, and why.
        """
        if name in self._by_name:
            raise EngineError(
                f"The lora adapter '{name}' has already been loaded. An adapter's name never changes what it means;"
                " unload it first, or use another name.",
                kind="InvalidUserInput",
                param="lora_name",
            )
        if len(self._by_name) + len(self._leaving) >= self._max_loras:
            raise EngineError(
                f"The engine holds {self._max_loras} adapters, as many as it may (--max-loras); unload one first.",
                kind="TooManyAdapters",
                param="lora_name",
            )
        config = self._config(name, Path(path))
        self._check_kind(name, config)
        self._check_shapes(name, Path(path) / _WEIGHTS)
        return int(config["r"])

    def _config(self, name: str, folder: Path) -> dict[str, Any]:
        missing = [file for file in ("adapter_config.json", _WEIGHTS) if not (folder / file).is_file()]
        if missing:
            files = " and no ".join(missing)
            raise not_found(
                f"Loading lora {name} failed: No adapter found for {folder} (no {files}).",
                "lora_path",
            )
        try:
            config = json.loads((folder / "adapter_config.json").read_text())
        except ValueError as error:
            raise EngineError(
                f"Loading lora {name} failed: adapter_config.json is not JSON ({error}).", param="lora_path"
            ) from None
        if not isinstance(config, dict):
            raise EngineError(f"Loading lora {name} failed: adapter_config.json is not an object.", param="lora_path")
        return config

    def _check_kind(self, name: str, config: dict[str, Any]) -> None:
        problems = []
        if config.get("peft_type") != "LORA":
            problems.append(f"peft_type is {config.get('peft_type')!r}, not 'LORA'")
        elif not isinstance(config.get("r"), int):
            problems.append("it names no rank (r)")
        else:
            rank = max([config["r"], *(config.get("rank_pattern") or {}).values()])
            if rank > self._max_rank:
                problems.append(f"LoRA rank {rank} is greater than max_lora_rank {self._max_rank}")
        if config.get("use_dora"):
            problems.append("DoRA is not supported")
        if config.get("modules_to_save"):
            problems.append("modules_to_save is not supported")
        if config.get("bias", "none") != "none":
            problems.append("trained biases are not supported")
        if problems:
            raise EngineError(f"Loading lora {name} failed: {'; '.join(problems)}.", param="lora_path")

    def _check_shapes(self, name: str, weights: Path) -> None:
        """Refuse an adapter of another base model, which peft would load in part or stumble over."""
        for key, shape in _tensor_shapes(name, weights):
            module, _, part = key.removeprefix(_PREFIX).partition(".lora_")
            expected = self._linear.get(module)
            if expected is None:
                raise EngineError(
                    f"Loading lora {name} failed: it changes {module}, which the base model does not have;"
                    " it was made for another base model.",
                    param="lora_path",
                )
            side, got = (1, shape[1]) if part.startswith("A") else (0, shape[0])
            if got != expected[side]:
                raise EngineError(
                    f"Loading lora {name} failed: its {module} is made for {got} features, the base model's has"
                    f" {expected[side]}; it was made for another base model.",
                    param="lora_path",
                )

    def load(self, name: str, path: str) -> Adapter:
        """Read an adapter into memory. Only the model's thread may call it, between two steps."""
        rank = self.check(name, path)
        adapter = Adapter(name, path, rank, next(self._loads))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                self._load_weights(adapter)
            except Exception as error:
                log.exception("peft could not load %s from %s", name, path)
                self._delete(adapter)
                raise EngineError(f"Loading lora {name} failed: {error}", param="lora_path") from error
        self._by_name[name] = adapter
        return adapter

    def _load_weights(self, adapter: Adapter) -> None:
        """Add the adapter's layers, empty, and then fill them; after a failure `_delete` takes them out again."""
        name = adapter.peft_name
        if not isinstance(self._runner.model, PeftModel):
            config = PeftConfig.from_pretrained(adapter.path)
            config.inference_mode = True
            self._runner.model = PeftModel(
                self._runner.base, config, name, autocast_adapter_dtype=False, low_cpu_mem_usage=True
            )
        self._runner.model.load_adapter(adapter.path, name, autocast_adapter_dtype=False, low_cpu_mem_usage=True)
        self._runner.activate(name)
        self._rest()

    def _rest(self) -> None:
        """No adapter is active until a pass needs one: base rows alone then cost nothing more.

        The wrapper wants to know of one nevertheless, whose kind it looks up at every call.
        """
        self._runner.activate(None)
        model = self._runner.model
        model.active_adapter = next(iter(model.peft_config))
        model.eval().requires_grad_(False)

    def retire(self, name: str) -> Adapter:
        """Let no new request name the adapter; `release` frees it once nobody uses it.

        Raises:
            EngineError: there is no such adapter.
        """
        adapter = self._by_name.pop(name, None)
        if adapter is None:
            raise not_found(f"The lora adapter '{name}' cannot be found.", "lora_name")
        self._leaving.add(adapter)
        return adapter

    def release(self, used: Iterable[Adapter]) -> None:
        """Free the retired adapters that are not among the used ones."""
        for adapter in self._leaving - set(used):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self._delete(adapter)
            self._leaving.discard(adapter)

    def _delete(self, adapter: Adapter) -> None:
        model = self._runner.model
        if not isinstance(model, PeftModel) or adapter.peft_name not in model.peft_config:
            return
        self._runner.activate(None)
        if len(model.peft_config) == 1:
            self._runner.model = model.unload()
            return
        model.delete_adapter(adapter.peft_name)
        self._rest()


def _tensor_shapes(name: str, weights: Path) -> list[tuple[str, list[int]]]:
    """Names and shapes in a safetensors file, from its header alone."""
    try:
        with weights.open("rb") as file:
            (size,) = struct.unpack("<Q", file.read(8))
            header = json.loads(file.read(min(size, 100_000_000)))
        return [(key, entry["shape"]) for key, entry in header.items() if key != "__metadata__"]
    except (struct.error, ValueError, KeyError, TypeError, AttributeError):
        raise EngineError(
            f"Loading lora {name} failed: {weights.name} is not a whole safetensors file.", param="lora_path"
        ) from None
