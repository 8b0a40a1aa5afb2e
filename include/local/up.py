"""`make up` and `make down`: Airflow on this machine for use in the browser."""

import argparse
import sys

from include.errors import VitrineError
from include.local import server
from include.local.demo import HOME
from include.settings import data_directory


def main(arguments: list[str] | None = None) -> int:
    """Start or stop it, and say where it is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("up", "down"))
    what = parser.parse_args(arguments).what
    local = server.running(HOME)
    if what == "down":
        if local is None:
            print("Airflow is not running.")
        else:
            server.stop(local)
            print("Airflow is stopped.")
        return 0
    try:
        if local is None:
            print("Starting Airflow (about half a minute) …", flush=True)
            local = server.start(HOME, data_directory())
    except VitrineError as error:
        print(error, file=sys.stderr)
        return 1
    user, password = local.login()
    print(f"Airflow's UI: {local.url}   user: {user}   password: {password}\n`make down` stops it.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
