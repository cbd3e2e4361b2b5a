"""Start the embedded engine: `python -m worker.engine --model FOLDER --served-model-name NAME --port N`.

It answers on /health once the model is loaded. SIGTERM lets running answers end for a few seconds, then it exits with
0. The bearer key that clients must give comes from INGRAIN_ENGINE_API_KEY; without it none is asked.
"""

import argparse
import logging
import os
import signal
import sys
import threading
import time
from pathlib import Path
from types import FrameType

import torch
import uvicorn

from app.errors import ConfigurationError
from worker.engine.adapters import Adapters
from worker.engine.loop import EngineLoop, Limits
from worker.engine.prompts import Prompts
from worker.engine.runner import Runner, choose_dtype, load_base_model
from worker.engine.server import build_app
from worker.engine.serving import Serving

log = logging.getLogger("worker.engine")
_GRACE_SECONDS = 3.0


class _Server(uvicorn.Server):
    """Uvicorn, which on the first signal also tells the model's thread to come to an end."""

    def __init__(self, config: uvicorn.Config, loop: EngineLoop) -> None:
        super().__init__(config)
        self._loop = loop

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._loop.stop(_GRACE_SECONDS)
        super().handle_exit(sig, frame)


def main() -> None:
    """Parse the arguments, load the model, serve."""
    arguments = _arguments()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    if arguments.die_with_parent:
        _die_with_parent()
    try:
        server = _build(arguments)
    except ConfigurationError as error:
        sys.exit(f"engine: {error}")
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)  # uvicorn raises the signal again when it has ended: exit with 0
    server.run()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m worker.engine", description="Serve a base model and adapters.")
    parser.add_argument("--model", type=Path, required=True, help="folder of the base model")
    parser.add_argument("--served-model-name", help="what requests call it; by default the folder's name")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8001)
    parser.add_argument("--max-loras", type=int, default=16, help="adapters in memory at once")
    parser.add_argument("--max-lora-rank", type=int, default=64)
    parser.add_argument("--max-model-len", type=int, help="longest prompt plus answer, in tokens")
    parser.add_argument("--max-num-seqs", type=int, default=64, help="answers written at once")
    parser.add_argument("--max-num-batched-tokens", type=int, help="prompt tokens computed in one step")
    parser.add_argument("--max-queue", type=int, default=2048, help="answers that may wait")
    parser.add_argument("--prefix-cache-mb", type=int, default=512, help="memory for prompts' beginnings")
    parser.add_argument("--device", help="cuda or cpu; by default cuda where there is one")
    parser.add_argument("--dtype", choices=["auto", "float32", "bfloat16"], default="auto")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="threads on a CPU")
    parser.add_argument(
        "--die-with-parent",
        action="store_true",
        default=os.environ.get("INGRAIN_DIE_WITH_PARENT") == "1",
        help="end when the process that started this one ends",
    )
    return parser.parse_args()


def _build(arguments: argparse.Namespace) -> _Server:
    torch.set_num_threads(arguments.threads)
    device = torch.device(arguments.device or ("cuda" if torch.cuda.is_available() else "cpu"))
    dtype = choose_dtype(device) if arguments.dtype == "auto" else getattr(torch, arguments.dtype)
    started = time.monotonic()
    base = load_base_model(arguments.model, device, dtype)
    config = base.config.get_text_config()
    longest: int = config.max_position_embeddings
    max_length = min(arguments.max_model_len or min(longest, 4096), longest)
    runner = Runner(base, arguments.max_num_seqs, max_length)
    prompts = Prompts(arguments.model, runner.vocabulary, max_length)
    adapters = Adapters(runner, arguments.max_loras, arguments.max_lora_rank)
    limits = Limits(
        rows=arguments.max_num_seqs,
        step_tokens=arguments.max_num_batched_tokens or (4096 if device.type == "cuda" else 512),
        queue=arguments.max_queue,
        prefix_bytes=arguments.prefix_cache_mb << 20,
    )
    loop = EngineLoop(runner, adapters, prompts.tokenizer, prompts.end_tokens, limits)
    name = arguments.served_model_name or arguments.model.name
    serving = Serving(name, str(arguments.model), loop, adapters, prompts, limits.rows)
    app = build_app(serving, os.environ.get("INGRAIN_ENGINE_API_KEY"))
    log.info("%s on %s in %s, loaded in %.1f s", name, device, dtype, time.monotonic() - started)
    loop.start()
    return _Server(
        uvicorn.Config(
            app,
            host=arguments.host,
            port=arguments.port,
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=int(_GRACE_SECONDS) + 2,
        ),
        loop,
    )


def _die_with_parent() -> None:
    """End with the parent, even when it was killed and could tell nobody."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(_GRACE_SECONDS + 4)
        os._exit(1)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()


if __name__ == "__main__":
    main()
