"""Start and stop Airflow on this machine: its own home, a port that stays, bound to loopback.

Four processes: scheduler (with the LocalExecutor), DAG processor, web server, and a triggerer, which no DAG here needs
but without which Airflow's start page shows a fault. `airflow standalone` would add log servers that listen on every
interface. What Airflow is told is derived from where its home and this checkout are now: both can be moved or copied.
"""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import httpx

from include.core.environment import DATA, PORT, REPOSITORY, SCHEDULE
from include.core.errors import BadSettings, VitrineError
from include.core.files import write_json
from include.local import users
from include.local.client import AirflowClient
from include.local.processes import group, parent, session, start_time, words

HOME = REPOSITORY / ".airflow"  # of what `make up` starts
STATE_FILE = "vitrine.json"
PORT_FILE = "port.json"
READY_SECONDS = 180.0
STOP_SECONDS = 20.0
FIRST_PORT = int(PORT.default)
COMPONENTS = ("metadatabase", "scheduler", "dag_processor", "triggerer")
# How many tasks run at once, by pool: the pipeline's, those of them that compute on the GPU (or on the CPU that stands
# in for it), and questions, which are answered however much the pipeline has to do.
POOLS = {
    "default_pool": (3, "The pipeline's tasks, but those in the pool gpu."),
    "gpu": (1, "One slot for each GPU (or for the CPU that stands in for it)."),
    "questions": (4, "Questions and rolling back: these do not wait for the pipeline."),
}
AIRFLOWS_OWN_SIZE = 128  # of default_pool, in a home that nobody has set another size in
# The leader waits for any of its processes to end, and then ends itself. $0 is Python: the environment's own `airflow`
# names the place where it was installed, which a checkout that was moved has left. Tasks are forked from the scheduler:
# what it has imported they need not. Those are packages that a question needs; a change of our own code holds at once.
SCRIPT = """
"$0" -m airflow db migrate || exit 1
"$0" -c 'import runpy, numpy, rapidfuzz.distance, regex, Stemmer
runpy.run_module("airflow", run_name="__main__", alter_sys=True)' scheduler --skip-serve-logs &
"$0" -m airflow dag-processor &
"$0" -m airflow api-server &
"$0" -m airflow triggerer --skip-serve-logs &
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
        """The web server's address; it is reached from this machine only."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        """What all of Airflow's processes print."""
        return self.home / "airflow.log"

    @property
    def state_file(self) -> Path:
        """Where it is written down that this instance runs."""
        return self.home / STATE_FILE

    def login(self) -> tuple[str, str]:
        """The administrator's user name and the password that Airflow made."""
        return users.ADMIN, users.passwords(self.home)[users.ADMIN]

    def alive(self) -> bool:
        """Whether the leader is still the process that was started."""
        return start_time(self.pid) == self.began

    def client(self) -> AirflowClient:
        """A client that is logged in."""
        return AirflowClient(self.url, *self.login())


def environment(home: Path, data: Path, port: int) -> dict[str, str]:
    """All of an Airflow process's environment: the caller's own, and what Airflow needs."""
    # The caller's own Airflow settings, its database above all, are none of this one's business.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW__")}
    return {
        **inherited,
        "AIRFLOW_HOME": str(home),
        # Each path: `airflow.cfg`, once written, holds those of the place where it was written.
        "AIRFLOW_CONFIG": str(home / "airflow.cfg"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
        "AIRFLOW__LOGGING__DAG_PROCESSOR_CHILD_PROCESS_LOG_DIRECTORY": str(home / "logs" / "dag_processor"),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(users.password_file(home)),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": users.setting(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(REPOSITORY / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(REPOSITORY / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PARALLELISM": str(sum(slots for slots, _ in POOLS.values())),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONNECT_ARGS": "include.local.database.SQLITE",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONNECT_ARGS_ASYNC": "include.local.database.SQLITE",
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{port}",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        # A task waits for the scheduler's look before it, and a run for one after it. Each look takes 20 ms of a core.
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.3",
        # Airflow's other loops share the cores with training: they may check less often.
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "120",
        # What a restart has changed, such as VITRINE_SCHEDULE, holds at once: else not within 30 s of the last change.
        "AIRFLOW__CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL": "0",
        "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
        "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",  # the Test button, for those who may edit connections
        "PYTHONPATH": f"{REPOSITORY}:{REPOSITORY / 'plugins'}",  # plugins: where Airflow finds our connection type
        "PYTHONWARNINGS": "ignore",
        "PYTHONDONTWRITEBYTECODE": "",  # each task imports torch anew: from compiled modules, in a third of the time
        "NO_COLOR": "1",
        "NO_PROXY": ",".join(filter(None, [os.environ.get("NO_PROXY"), "127.0.0.1,localhost"])),
        "no_proxy": ",".join(filter(None, [os.environ.get("no_proxy"), "127.0.0.1,localhost"])),
        # A scheduled run takes the form's defaults: it would put the sample in the place of the user's own index.
        SCHEDULE.name: SCHEDULE.given or "none",
        "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}",
        DATA.name: str(data),
    }


def running(home: Path) -> Local | None:
    """The instance that was started with this home, if it is still alive.

    A copy of a home has the state file of the original, whose processes are none of the copy's; a home that was moved
    while its Airflow ran takes it along, and since that still works in the old place, it is ended.
    """
    try:
        state = json.loads((home / STATE_FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    found = Local(home, state["port"], state["pid"], state["began"])
    here = identity(home)
    if state.get("inode", here) != here:  # absent from what an earlier version of Vitrine wrote
        found.state_file.unlink(missing_ok=True)
        return None
    if not found.alive() or state.get("home", str(home)) != str(home):
        stop(found)  # of a leader that died, tasks may still run
        return None
    return found


def identity(home: Path) -> list[int]:
    """What tells a folder from its copy, wherever that lies."""
    found = home.stat()
    return [found.st_dev, found.st_ino]


def start(home: Path, data: Path, *, port: int | None = None, extra: Mapping[str, str] | None = None) -> Local:
    """Start Airflow and wait until all its parts are healthy and the DAGs are there.

    Args:
        home: Its `AIRFLOW_HOME`, made if absent.
        data: Vitrine's data directory.
        port: Of the UI and the API; that of `lasting_port` if absent.
        extra: More environment variables.

    Raises:
        AirflowFailed: It ended, or was not ready after three minutes; the message has its last log lines.
        BadSettings: The home's path cannot be that of a database.
    """
    if found := re.search(r"[?#%$]", str(home)):
        raise BadSettings(
            f"The path of Airflow's home, {home}, holds the sign {found[0]}, which an SQLite address cannot.",
            "Move the checkout into a folder without it.",
        )
    home.mkdir(parents=True, exist_ok=True)
    port = lasting_port(home) if port is None else port
    began = datetime.now(UTC)
    with (home / "airflow.log").open("wb") as output:
        process = subprocess.Popen(
            ["bash", "-c", SCRIPT, sys.executable],
            env={**environment(home, data, port), **(extra or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=home,
            start_new_session=True,
        )
    local = Local(home, port, process.pid, start_time(process.pid), process)
    here = {"home": str(home), "inode": identity(home)}
    write_json(local.state_file, {"pid": local.pid, "port": port, "began": local.began, **here})
    try:
        _wait_ready(local, process, began)
    except BaseException:
        stop(local)
        raise
    return local


def stop(local: Local) -> None:
    """End the processes that `start` made, and nothing else.

    Its services are asked to end, and end their own processes. Tasks do not heed SIGTERM and are killed. The web server
    goes last: a task's supervisor tells it how the task ended, so that the next start tries that again at once; if it
    is gone, then the supervisor tries for minutes, and the scheduler waits for that.
    """
    members = set(session(local.pid, local.began))
    services = {pid for pid in members if pid == local.pid or parent(pid) not in members - {local.pid}}
    services = {pid for pid in services if group(pid) == local.pid}
    web = {pid for pid in services if "airflow api-server" in " ".join(words(pid)).replace("_", "-")}
    for asked, left in ((services - web, web), (web, set())):
        _signal(asked, signal.SIGTERM)
        if not _wait_ended(local, STOP_SECONDS / 2, but=left):
            _signal(set(session(local.pid, local.began)) - left, signal.SIGKILL)
            _wait_ended(local, 5.0, but=left)
    local.state_file.unlink(missing_ok=True)


def free_port() -> int:
    """A TCP port on loopback that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def last_port(home: Path) -> int:
    """The port of the last start; 8080 before the first."""
    try:
        return int(json.loads((home / PORT_FILE).read_text(encoding="utf-8"))["port"])
    except FileNotFoundError:
        return FIRST_PORT


def lasting_port(home: Path) -> int:
    """The port of `VITRINE_PORT`, else that of the last start, else 8080; where it is taken, the next free one.

    It is written down in the home, so that addresses, bookmarks and logins stay good over a restart.

    Raises:
        BadSettings: `VITRINE_PORT` is not a port.
        AirflowFailed: Another program has it and the 100 behind it.
    """
    if asked := PORT.given.strip():
        if not asked.isdecimal() or not 1024 <= int(asked) <= 65535:
            raise BadSettings(f"{PORT.name} is {asked!r}, which is not a port.", "Write a number from 1024 to 65535.")
        first = int(asked)
    else:
        first = last_port(home)
    for port in range(first, min(first + 100, 65536)):
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # what was closed just now is free
            probe.bind(("127.0.0.1", port))
            write_json(home / PORT_FILE, {"port": port})
            return port
    raise AirflowFailed(f"No port from {first} on is free.", f"Set {PORT.name} to one that is.")


def last_lines(path: Path, count: int = 20) -> str:
    """The end of a text file."""
    return "\n".join(path.read_text(encoding="utf-8", errors="replace").splitlines()[-count:])


def _wait_ready(local: Local, process: "subprocess.Popen[bytes]", began: datetime) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        health = AirflowClient.health(local.url)
        healthy = all(health.get(name, {}).get("status") == "healthy" for name in COMPONENTS)
        if healthy and users.ADMIN in users.passwords(local.home):
            with suppress(httpx.HTTPError), local.client() as client:  # up, and not yet ready to answer
                if client.dags_ready(began):
                    for name, (slots, description) in POOLS.items():
                        client.ensure_pool(name, slots, description, unset=AIRFLOWS_OWN_SIZE)
                    return
        time.sleep(0.5)
    raise AirflowFailed(
        f"Airflow did not get ready. The end of {local.log}:\n{last_lines(local.log)}",
        f"Read {local.log}. `rm -r {local.home}` gives Airflow a fresh start; it keeps the data.",
    )


def _signal(pids: set[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def _wait_ended(local: Local, patience: float, *, but: set[int]) -> bool:
    """Wait until no process of the session is left but those, and kill the tasks; whether it came to that in time."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if local.process is not None:
            local.process.poll()
        members = set(session(local.pid, local.began))
        if members <= but:
            return True
        _signal({pid for pid in members if group(pid) not in (local.pid, -1)}, signal.SIGKILL)
        time.sleep(0.1)
    return False
