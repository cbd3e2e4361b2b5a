"""vLLM as the engine that `ingrain up` starts: its command line, and a real one where vLLM is installed."""

import os
import re
import signal
import sys
import venv
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from app.errors import ConfigurationError
from app.settings import Settings
from app.supervisor import vllm
from app.supervisor.notices import Notice
from app.supervisor.supervisor import Supervisor
from app.supervisor.vllm import check_vllm, vllm_command, vllm_environment, why_only_for_tests
from tests.installation import Installation, installed, running, wait_until

VLLM_PYTHON = os.environ.get("INGRAIN_TEST_VLLM_PYTHON", "")


@pytest.fixture
def base_model(tmp_path: Path) -> Path:
    (tmp_path / "config.json").write_text('{"max_position_embeddings": 1024}')
    return tmp_path


def options_of(command: list[str]) -> dict[str, str]:
    """What follows each flag; the last one counts, as it does for vLLM."""
    return {flag: value for flag, value in zip(command, [*command[1:], ""], strict=True) if flag.startswith("--")}


def changed(settings: Settings, **changes: object) -> Settings:
    return settings.model_copy(update=changes)


def test_the_command_follows_from_the_settings(settings: Settings, base_model: Path) -> None:
    settings = changed(settings, base_model="Qwen/Qwen2.5-3B-Instruct", max_loras=3, max_model_length=512)
    command = vllm_command(settings, base_model, "127.0.0.1", 8001)
    assert command[:3] == [sys.executable, "-m", "vllm.entrypoints.openai.api_server"]
    found = options_of(command)
    assert found["--model"] == str(base_model)
    assert found["--served-model-name"] == "Qwen/Qwen2.5-3B-Instruct"
    assert (found["--host"], found["--port"]) == ("127.0.0.1", "8001")
    assert (found["--max-loras"], found["--max-cpu-loras"]) == ("3", "3")
    assert found["--max-model-len"] == "512"
    assert found["--generation-config"] == "vllm"
    assert {"--enable-lora", "--enable-prefix-caching", "--enable-prompt-tokens-details"} <= found.keys()
    assert "--enable-sleep-mode" not in found


@pytest.mark.parametrize(
    ("highest", "rank"), [(1, "1"), (2, "8"), (8, "8"), (33, "64"), (65, "128"), (300, "320"), (512, "512")]
)
def test_the_rank_is_rounded_up_to_one_that_vllm_takes(
    settings: Settings, base_model: Path, highest: int, rank: str
) -> None:
    command = vllm_command(changed(settings, max_lora_rank=highest), base_model, "127.0.0.1", 1)
    assert options_of(command)["--max-lora-rank"] == rank


def test_no_longer_than_the_base_model_was_made_for(settings: Settings, base_model: Path) -> None:
    assert options_of(vllm_command(settings, base_model, "127.0.0.1", 1))["--max-model-len"] == "1024"
    (base_model / "config.json").write_text('{"text_config": {"max_position_embeddings": 256}}')
    assert options_of(vllm_command(settings, base_model, "127.0.0.1", 1))["--max-model-len"] == "256"
    (base_model / "config.json").write_text("{}")
    assert options_of(vllm_command(settings, base_model, "127.0.0.1", 1))["--max-model-len"] == "2048"


def test_further_arguments_come_last_and_win(settings: Settings, base_model: Path) -> None:
    arguments = "--tensor-parallel-size 2 --max-model-len 99 --chat-template 'my template.jinja'"
    command = vllm_command(changed(settings, vllm_arguments=arguments), base_model, "127.0.0.1", 1)
    assert command[-2:] == ["--chat-template", "my template.jinja"]
    assert options_of(command)["--max-model-len"] == "99"


def test_arguments_that_are_no_command_line_are_refused(settings: Settings, base_model: Path) -> None:
    with pytest.raises(ConfigurationError, match="INGRAIN_VLLM_ARGUMENTS is not a command line: No closing quotation"):
        vllm_command(changed(settings, vllm_arguments="--seed '1"), base_model, "127.0.0.1", 1)


def test_with_sleep_it_takes_most_of_the_gpu_and_can_be_put_to_sleep(settings: Settings, base_model: Path) -> None:
    awake, asleep = settings, changed(settings, vllm_sleep=True)
    assert options_of(vllm_command(awake, base_model, "127.0.0.1", 1))["--gpu-memory-utilization"] == "0.45"
    command = options_of(vllm_command(asleep, base_model, "127.0.0.1", 1))
    assert command["--gpu-memory-utilization"] == "0.9"
    assert "--enable-sleep-mode" in command
    assert "VLLM_SERVER_DEV_MODE" not in vllm_environment(awake, "", {})
    assert vllm_environment(asleep, "", {})["VLLM_SERVER_DEV_MODE"] == "1"


def test_the_key_is_in_the_environment_and_not_in_the_command_line(settings: Settings, base_model: Path) -> None:
    settings = changed(settings, vllm_python=Path("/opt/vllm/bin/python"))
    found = vllm_environment(settings, "secret", {"PATH": "/usr/bin", "VLLM_CPU_KVCACHE_SPACE": "8", "HOME": "/me"})
    assert found["VLLM_API_KEY"] == "secret"
    assert found["VLLM_ALLOW_RUNTIME_LORA_UPDATING"] == "True"
    assert found["VLLM_CPU_KVCACHE_SPACE"] == "8"
    assert found["PATH"] == "/opt/vllm/bin:/usr/bin"
    assert found["HOME"] == "/me"
    assert "secret" not in vllm_command(settings, base_model, "127.0.0.1", 1)


def test_an_interpreter_without_vllm_is_refused_with_the_way_to_get_it(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "vllm").mkdir()  # a folder of the user's that happens to have this name
    monkeypatch.chdir(tmp_path)
    venv.create(tmp_path / "venv", symlinks=True)
    with pytest.raises(
        ConfigurationError,
        match=r"not installed for .*pip install vllm==0.32.0, .*INGRAIN_VLLM_PYTHON.*pip install -e '\.\[vllm\]'",
    ):
        check_vllm(changed(settings, vllm_python=tmp_path / "venv" / "bin" / "python"))


@pytest.mark.parametrize("name", ["none", "no-program"])
def test_an_interpreter_that_cannot_be_run_is_named(settings: Settings, tmp_path: Path, name: str) -> None:
    (tmp_path / "no-program").write_text("")
    with pytest.raises(ConfigurationError, match=f"{name} .INGRAIN_VLLM_PYTHON. cannot be run"):
        check_vllm(changed(settings, vllm_python=tmp_path / name))


def test_an_interpreter_that_does_not_answer_in_time_is_named_and_ends_nothing(
    settings: Settings, base_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vllm, "_CHECK_SECONDS", 0.2)
    slow = base_model / "slow-python"
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o755)
    settings = changed(settings, vllm_python=slow)
    assert vllm_command(settings, base_model, "127.0.0.1", 1)[0] == str(slow)
    with pytest.raises(ConfigurationError, match=r"slow-python .* cannot be run: it does not end"):
        check_vllm(settings)


def test_another_interpreter_is_not_told_where_this_one_finds_its_packages(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "vllm.py").write_text("")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    places = {"PYTHONPATH": str(tmp_path), "PYTHONHOME": "/usr"}
    assert places.items() <= vllm_environment(settings, "", places).items()
    venv.create(tmp_path / "venv", symlinks=True)
    other = changed(settings, vllm_python=tmp_path / "venv" / "bin" / "python")
    assert not places.keys() & vllm_environment(other, "", places).keys()
    with pytest.raises(ConfigurationError, match="vLLM is not installed"):
        check_vllm(other)


def environment_with(folder: Path, name: str, version: str) -> Path:
    """The interpreter of an environment that has a package of vLLM by name only."""
    venv.create(folder, symlinks=True)
    packages = next(folder.glob("lib/python*/site-packages"))
    (packages / "vllm.py").write_text("")
    about = packages / f"{name.replace('-', '_')}-{version}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    return folder / "bin" / "python"


@pytest.mark.parametrize(
    ("name", "version", "is_for_cpus"),
    [("vllm-cpu", "0.32.0", True), ("vllm", "0.32.0+cpu", True), ("vllm", "0.32.0", False)],
)
def test_the_build_for_cpus_is_told_at_the_start(
    settings: Settings, base_model: Path, tmp_path: Path, name: str, version: str, is_for_cpus: bool
) -> None:
    python = environment_with(tmp_path / "venv", name, version)
    settings = changed(settings, engine="vllm", vllm_python=python, max_loras=3, base_model="/nowhere/at-all", port=0)
    notices: list[Notice] = []
    supervisor = Supervisor(settings, notices.append, lambda: False)
    try:
        with pytest.raises(ConfigurationError, match="/nowhere/at-all"):
            supervisor.start()
    finally:
        supervisor.stop()
    assert [notice.event for notice in notices] == ["warning"] * is_for_cpus
    assert all("slots (3, INGRAIN_MAX_LORAS)" in notice.message for notice in notices)
    assert ("--no-enable-chunked-prefill" in vllm_command(settings, base_model, "127.0.0.1", 1)) == is_for_cpus


def test_the_build_is_asked_for_once(settings: Settings, base_model: Path, tmp_path: Path) -> None:
    python = environment_with(tmp_path / "venv", "vllm-cpu", "0.32.0")
    settings = changed(settings, vllm_python=python)
    assert why_only_for_tests(settings)
    python.unlink()
    assert "--no-enable-chunked-prefill" in vllm_command(settings, base_model, "127.0.0.1", 1)


@pytest.fixture
def installation() -> Iterator[Installation]:
    extra = {
        "INGRAIN_VLLM_PYTHON": VLLM_PYTHON,
        "INGRAIN_VLLM_ARGUMENTS": "--enforce-eager --dtype float32 --max-num-seqs 4",
        "INGRAIN_MAX_LORA_RANK": "8",
        "INGRAIN_MAX_LORAS": "2",
        "SPT_NOENV": "1",  # vLLM renames its processes, and would overwrite the environment that they are found by
    }
    with installed(**extra) as found:
        yield found


def shared_memory_of(installation: Installation) -> set[Path]:
    """The files of shared memory that its processes hold. It is memory that stays when they are gone."""
    maps = "".join(Path(f"/proc/{number}/maps").read_text() for number in installation.processes())
    return {Path(name) for name in re.findall(r"/dev/shm/psm_\w+", maps)}


@pytest.mark.vllm
@pytest.mark.skipif(not VLLM_PYTHON, reason="needs vLLM: INGRAIN_TEST_VLLM_PYTHON names an interpreter that has it")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_up_answers_and_ends_with_everything_that_vllm_started(
    installation: Installation, number: signal.Signals
) -> None:
    with running(installation, "--engine", "vllm") as up:
        question = {"messages": [{"role": "user", "content": "Who?"}], "max_tokens": 4, "model": "tiny"}
        answer = httpx.post(f"{installation.url}/v1/chat/completions", json=question, timeout=60)
        assert answer.status_code == 200, answer.text
        assert answer.json()["usage"]["completion_tokens"] <= 4
        assert installation.process_of("EngineCore")
        shared = shared_memory_of(installation)
        assert shared
        if number == signal.SIGTERM:
            assert up.end() == 0
        else:
            up.process.kill()
            up.process.wait()
        wait_until(lambda: not installation.processes(), "nothing is left running", 15)
        assert not [file for file in shared if file.exists()]
