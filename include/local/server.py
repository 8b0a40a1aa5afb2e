"""Start and stop `airflow standalone`: its own home, a free port, bound to loopback."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from include.artifacts import write_json
from include.errors import VitrineError
from include.local.client import AirflowClient
from include.settings import REPOSITORY

READY_SECONDS = 180.0
STOP_SECONDS = 20.0
COMPONENTS = ("metadatabase", "scheduler", "dag_processor", "triggerer")


class AirflowFailed(VitrineError):
    """Airflow did not start, or a DAG run failed."""


@dataclass(frozen=True)
class Local:
    """A running `airflow standalone`.

    Attributes:
        home: Its `AIRFLOW_HOME`.
        port: The UI's and API's port on 127.0.0.1.
        pid: The leader of its process group.
        began: The leader's start time in clock ticks since boot, so that a reused pid is not taken for it.
        process: The leader, where this process started it: it has to be collected when it ends.
    """

    home: Path
    port: int
    pid: int
    began: int
    process: "subprocess.Popen[bytes] | None" = field(default=None, compare=False, repr=False)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        return self.home / "airflow.log"

    @property
    def state_file(self) -> Path:
        return self.home / "vitrine.json"

    def login(self) -> tuple[str, str]:
        """The user name and password that Airflow made."""
        file = self.home / "simple_auth_manager_passwords.json.generated"
        ((user, password),) = json.loads(file.read_text(encoding="utf-8")).items()
        return user, password

    def alive(self) -> bool:
        """Whether the process is still the one that was started."""
        return start_time(self.pid) == self.began

    def client(self) -> AirflowClient:
        """A client that is logged in."""
        return AirflowClient(self.url, *self.login())


def environment(home: Path, data: Path, port: int) -> dict[str, str]:
    """What Airflow's processes need, beside the caller's own environment."""
    return {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(REPOSITORY / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(REPOSITORY / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{port}",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        # Airflow's own loops share the cores with training: what they check every second, they may check less often.
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.7",
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "120",
        "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
        "PYTHONPATH": str(REPOSITORY),
        "PYTHONWARNINGS": "ignore",
        "PYTHONDONTWRITEBYTECODE": "",  # each task imports torch anew: from compiled modules, in a third of the time
        "NO_COLOR": "1",
        "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}",
        "VITRINE_DATA": str(data),
    }


def running(home: Path) -> Local | None:
    """The instance that was started with this home, if it is still alive."""
    try:
        state = json.loads((home / "vitrine.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    found = Local(home, state["port"], state["pid"], state["began"])
    return found if found.alive() else None


def start(home: Path, data: Path, *, extra: Mapping[str, str] | None = None) -> Local:
    """Start Airflow and wait until all its parts are healthy and the DAGs are there.

    Args:
        home: Its `AIRFLOW_HOME`, made if absent.
        data: Vitrine's data directory.
        extra: More environment variables.

    Raises:
        AirflowFailed: It ended, or was not ready after three minutes; the message has its last log lines.
    """
    home.mkdir(parents=True, exist_ok=True)
    port = free_port()
    airflow = Path(sys.executable).parent / "airflow"
    with (home / "airflow.log").open("wb") as output:
        process = subprocess.Popen(
            [airflow, "standalone"],
            env={**os.environ, **environment(home, data, port), **(extra or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=home,
            start_new_session=True,
        )
    local = Local(home, port, process.pid, start_time(process.pid), process)
    write_json(local.state_file, {"pid": local.pid, "port": port, "began": local.began})
    try:
        _wait_ready(local, process)
    except BaseException:
        stop(local)
        raise
    return local


def stop(local: Local) -> None:
    """End the process group that `start` made, and nothing else."""
    if local.alive():
        for number, patience in ((signal.SIGTERM, STOP_SECONDS), (signal.SIGKILL, 5.0)):
            try:
                os.killpg(local.pid, number)
            except ProcessLookupError:
                break
            if _group_ended(local, patience):
                break
    local.state_file.unlink(missing_ok=True)


def free_port() -> int:
    """A TCP port on loopback that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start_time(pid: int) -> int:
    """When a process began, in clock ticks since boot; -1 where there is none (Linux's /proc/PID/stat)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return -1
    fields = stat.rpartition(")")[2].split()
    return -1 if fields[0] == "Z" else int(fields[19])


def last_lines(path: Path, count: int = 20) -> str:
    """The end of a text file."""
    return "\n".join(path.read_text(encoding="utf-8", errors="replace").splitlines()[-count:])


def _wait_ready(local: Local, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + READY_SECONDS
    passwords = local.home / "simple_auth_manager_passwords.json.generated"
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        health = AirflowClient.health(local.url)
        healthy = all(health.get(name, {}).get("status") == "healthy" for name in COMPONENTS)
        if healthy and passwords.exists():
            with local.client() as client:
                if client.dags_ready():
                    client.ensure_pool("gpu", 1, "One slot for each GPU (or for the CPU that stands in for it).")
                    return
        time.sleep(0.5)
    raise AirflowFailed(
        f"Airflow did not get ready. The end of {local.log}:\n{last_lines(local.log)}",
        f"Read {local.log}; `make clean` removes {local.home} for a fresh start.",
    )


def _group_ended(local: Local, patience: float) -> bool:
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if local.process is not None:
            local.process.poll()
        try:
            os.killpg(local.pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False
