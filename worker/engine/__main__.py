"""Start the embedded engine: `python -m worker.engine --model FOLDER --served-model-name NAME --port N`.

It answers on /health once the model is loaded. SIGTERM lets running answers end for a few seconds, then it exits with
0. The bearer key that clients must give comes from INGRAIN_ENGINE_API_KEY; without it none is asked.
"""

import argparse
import os
import signal
import threading
import time
from pathlib import Path

from worker.cores import usable_cores

_LAST_SECONDS = 8.0


def main() -> None:
    """Watch the parent from the first moment on; torch, which takes seconds to import, comes after that."""
    arguments = _arguments()
    if arguments.die_with_parent:
        _die_with_parent()
    from worker.engine.start import serve

    serve(arguments)


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
    parser.add_argument("--threads", type=int, default=usable_cores(), help="threads on a CPU")
    parser.add_argument(
        "--die-with-parent",
        action="store_true",
        default=os.environ.get("INGRAIN_DIE_WITH_PARENT") == "1",
        help="end when the process that started this one ends",
    )
    return parser.parse_args()


def _die_with_parent() -> None:
    """End with the parent, even when it was killed and could tell nobody."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(_LAST_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()


if __name__ == "__main__":
    main()
