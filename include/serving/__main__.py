"""Runs the resident asker: `python -m include.serving`, until SIGTERM or Ctrl-C.

With `--stdio` it serves one assistant on this machine, which has started it, by its standard input and output.

Its settings come from the environment, as `VITRINE_SERVING_PORT`; see "A resident asker" in docs/operations.md.
"""

import argparse
import asyncio
import os
import sys

import uvicorn

from include.core.errors import VitrineError
from include.core.redaction import escaped
from include.serving.app import assist, create_app
from include.serving.deployment import Deployment
from include.serving.logs import log_to

LONGEST_END = 30  # seconds that requests have to end after SIGTERM


def main() -> None:
    """Serve; status 2 where a setting is refused."""
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m include.serving")
    parser.add_argument("--stdio", action="store_true", help="serve an assistant by standard input and output")
    options = parser.parse_args()
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # requests are what runs side by side
    log_to(sys.stderr)
    try:
        deployment = Deployment.from_environment()
        if options.stdio:
            return asyncio.run(assist(deployment))
        app = create_app(deployment)
    except VitrineError as fault:
        sys.stderr.write(f"{escaped(str(fault))}\n")
        sys.exit(2)
    serving = deployment.serving
    uvicorn.run(
        app,
        host=serving.serving_host,
        port=serving.serving_port,
        log_config=None,
        access_log=False,  # what people ask is theirs; /metrics counts
        server_header=False,
        timeout_graceful_shutdown=LONGEST_END,
    )
    return None


if __name__ == "__main__":
    main()
