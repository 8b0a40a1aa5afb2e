"""`make up`, `make down`, `make user` and `make airflow`: Airflow on this machine.

What a person gives to `make` comes by environment (`GIVEN_NAME` …), as it was typed: no shell reads it on the way.
"""

import argparse
import os
import shlex
import sys

from include.core.environment import data_directory
from include.core.errors import BadSettings, VitrineError
from include.local import server, users
from include.local.server import HOME

RUNS_ALREADY = "Airflow runs already; other VITRINE_… variables count from its next start: `make down`, `make up`."


def main(arguments: list[str] | None = None) -> int:
    """Do one of the four; the exit status is 0 if it was done."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("up", "down", "user", "airflow"))
    what = parser.parse_args(arguments).what
    try:
        {"up": up, "down": down, "user": user, "airflow": airflow}[what]()
    except VitrineError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def up() -> None:
    """Start it unless it runs, and say where it is."""
    local = server.running(HOME)
    if local is None:
        print("Starting Airflow (about half a minute) …", flush=True)
        local = server.start(HOME, data_directory())
    else:
        print(RUNS_ALREADY)
    name, password = local.login()
    print(f"Airflow's UI: {local.url}   user: {name}   password: {password}\n`make down` stops it.")


def down() -> None:
    """Stop it."""
    local = server.running(HOME)
    if local is None:
        print("Airflow is not running.")
    else:
        server.stop(local)
        print("Airflow is stopped.")


def user() -> None:
    """Give `GIVEN_NAME` a login with `GIVEN_ROLE`."""
    name, role = os.environ.get("GIVEN_NAME", "").strip(), os.environ.get("GIVEN_ROLE", "").strip() or "viewer"
    before = users.roles(HOME).get(name)
    password = users.add(HOME, name, role)
    print(f"user: {name}   password: {password}   role: {role}")
    local = server.running(HOME)
    if local is None:
        print("`make up` starts Airflow and says its address.")
    elif before == role:
        print(f"Log in at {local.url}")
    else:
        print(f"Airflow runs and takes this up at its next start: `make down`, `make up`, then log in at {local.url}")


def airflow() -> None:
    """Become the airflow command with the arguments in `GIVEN_ARGS`, in the environment of `make up`.

    Raises:
        BadSettings: A quotation mark is left open.
    """
    text = os.environ.get("GIVEN_ARGS", "")
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise BadSettings(f"ARGS is {text!r}: {error}.", "Write it as you would on a command line.") from error
    local = server.running(HOME)
    port = server.last_port(HOME) if local is None else local.port
    HOME.mkdir(parents=True, exist_ok=True)
    environment = server.environment(HOME, data_directory(), port)
    os.execve(sys.executable, [sys.executable, "-m", "airflow", *words], environment)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    sys.exit(main())
