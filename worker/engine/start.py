"""From arguments to a running server: loads the model, wires the parts, and ends on a signal."""

import argparse
import logging
import os
import signal
import sys
import time
from types import FrameType

import torch
import uvicorn

from app.errors import ConfigurationError
from worker.device import choose_device, choose_dtype
from worker.engine.adapters import Adapters
from worker.engine.loop import EngineLoop, Limits
from worker.engine.prompts import Prompts
from worker.engine.runner import Runner, load_base_model
from worker.engine.server import build_app
from worker.engine.serving import Serving

log = logging.getLogger("worker.engine")
_GRACE_SECONDS = 3.0


class _Server(uvicorn.Server):
    """Uvicorn, which on the first signal also tells the model's thread to come to an end, and ends when that ends."""

    def __init__(self, config: uvicorn.Config, loop: EngineLoop) -> None:
        super().__init__(config)
        self._loop = loop

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._loop.stop(_GRACE_SECONDS)
        super().handle_exit(sig, frame)

    async def on_tick(self, counter: int) -> bool:
        """Whether it is time to end; asked several times a second."""
        return await super().on_tick(counter) or not self._loop.is_alive()

    @property
    def failed(self) -> bool:
        """Whether it ended because the model's thread failed."""
        return self._loop.failed


def serve(arguments: argparse.Namespace) -> None:
    """Load the model and serve until a signal comes, or the model's thread fails."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        server = _build(arguments)
    except ConfigurationError as error:
        sys.exit(f"engine: {error}")
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)  # uvicorn raises the signal again when it has ended: exit with 0
    server.run()
    if server.failed:
        sys.exit("engine: the model's thread failed")  # whoever supervises the engine starts it again


def _build(arguments: argparse.Namespace) -> _Server:
    torch.set_num_threads(arguments.threads)
    device = torch.device(arguments.device) if arguments.device else choose_device()
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
