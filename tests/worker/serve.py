"""A real worker with other stages: `python -m tests.worker.serve '{"read": MODULE, ...}'`."""

import json
import sys

from app.settings import get_settings
from worker.main import serve

if __name__ == "__main__":
    serve(get_settings(), json.loads(sys.argv[1]), retry_pause_seconds=0.1)
