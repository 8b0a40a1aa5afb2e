#!/bin/sh
# `vitrine`, as `make` puts it into .venv/bin: runs the code of the checkout that .venv lies in, wherever that is moved to.
# -P: whatever lies in the current directory is not imported.
bin=$(dirname "$(readlink -f "$0")")
PYTHONPATH="$bin/../..${PYTHONPATH:+:$PYTHONPATH}" exec "$bin/python" -P -m include.shell "$@"
