"""Start and stop Airflow on this machine: its own home, a free port, bound to loopback.

Three of its processes: scheduler (with the LocalExecutor), DAG processor, web server. `airflow standalone` would add a
triggerer, which nothing here needs, and log servers that listen on every interface.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from include.artifacts import write_json
from include.errors import VitrineError
from include.local.client import AirflowClient
from include.settings import REPOSITORY

READY_SECONDS = 180.0
STOP_SECONDS = 20.0
COMPONENTS = ("metadatabase", "scheduler", "dag_processor")
# The leader waits for any of the three to end, and then ends itself.
SCRIPT = """
airflow db migrate || exit 1
airflow scheduler --skip-serve-logs &
airflow dag-processor &
airflow api-server &
wait -n
echo "One of Airflow's processes has ended."
exit 1
"""


class AirflowFailed(VitrineError):
    """Airflow did not start, or a DAG run failed."""


@dataclass(frozen=True)
class Local:
    """A running Airflow.

    Attributes:
        home: Its `AIRFLOW_HOME`.
        port: The UI's and API's port on 127.0.0.1.
        pid: The leader of its session.
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
        """Whether the leader is still the process that was started."""
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
        "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",  # the Test button; every user of this Airflow is its admin
        "PYTHONPATH": f"{REPOSITORY}:{REPOSITORY / 'plugins'}",  # plugins: where Airflow finds our connection type
        "PYTHONWARNINGS": "ignore",
        "PYTHONDONTWRITEBYTECODE": "",  # each task imports torch anew: from compiled modules, in a third of the time
        "NO_COLOR": "1",
        "NO_PROXY": ",".join(filter(None, [os.environ.get("NO_PROXY"), "127.0.0.1,localhost"])),
        "no_proxy": ",".join(filter(None, [os.environ.get("no_proxy"), "127.0.0.1,localhost"])),
        # A scheduled run takes the form's defaults: it would put the sample in the place of the user's own index.
        "VITRINE_SCHEDULE": os.environ.get("VITRINE_SCHEDULE") or "none",
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
    if not found.alive():
        stop(found)  # of a leader that died, tasks may still run
        return None
    return found


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
    # The caller's own Airflow settings, its database above all, are none of this one's business.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW__")}
    with (home / "airflow.log").open("wb") as output:
        process = subprocess.Popen(
            ["bash", "-c", SCRIPT],
            env={**inherited, **environment(home, data, port), **(extra or {})},
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
    """End the processes that `start` made, and nothing else."""
    for number, patience in ((signal.SIGTERM, STOP_SECONDS), (signal.SIGKILL, 5.0)):
        for pid in _session(local):
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        if _ended(local, patience):
            break
    local.state_file.unlink(missing_ok=True)


def free_port() -> int:
    """A TCP port on loopback that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start_time(pid: int) -> int:
    """When a process began, in clock ticks since boot; -1 where there is none."""
    found = _stat(pid)
    return -1 if found is None else int(found[19])


def _stat(pid: int) -> list[str] | None:
    """The fields of Linux's /proc/PID/stat from the state on; None where no such process lives."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[0] == "Z" else fields


def _session(local: Local) -> list[int]:
    """The living processes of the leader's session: tasks have process groups of their own, but not sessions.

    The kernel does not give the leader's pid away while its session has members. So if another process has it, then
    there are no members left, and a session of that number is somebody else's.
    """
    if start_time(local.pid) not in (local.began, -1):
        return []
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        fields = _stat(int(entry.name))
        if fields is not None and int(fields[3]) == local.pid:
            found.append(int(entry.name))
    return found


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
            with suppress(httpx.HTTPError), local.client() as client:  # up, and not yet ready to answer
                if client.dags_ready():
                    client.ensure_pool("gpu", 1, "One slot for each GPU (or for the CPU that stands in for it).")
                    return
        time.sleep(0.5)
    raise AirflowFailed(
        f"Airflow did not get ready. The end of {local.log}:\n{last_lines(local.log)}",
        f"Read {local.log}. `rm -r {local.home}` gives Airflow a fresh start; it keeps the data.",
    )


def _ended(local: Local, patience: float) -> bool:
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if local.process is not None:
            local.process.poll()
        if not _session(local):
            return True
        time.sleep(0.1)
    return False
