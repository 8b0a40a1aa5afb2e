"""The production files: no engine runs here, so what can be known without one is checked."""

import json
import os
import re
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import yaml
from jsonschema import Draft202012Validator

from include.core.environment import REPOSITORY
from include.core.errors import BadSettings
from include.local import server
from include.serving.deployment import Deployment

COMPOSE = REPOSITORY / "docker-compose.yaml"
EXAMPLE = REPOSITORY / ".env.example"
DOCKERFILE = REPOSITORY / "Dockerfile"
ONE_SHOT = {"airflow-init"}
SERVICES = {
    *("postgres", "redis", "qdrant", "airflow-init", "api-server", "scheduler", "dag-processor", "triggerer"),
    *("worker", "worker-questions", "worker-gpu", "serving"),
}
SECRETS = {
    *("POSTGRES_PASSWORD", "REDIS_PASSWORD", "AIRFLOW_FERNET_KEY", "AIRFLOW_JWT_SECRET", "AIRFLOW_API_SECRET_KEY"),
    *("QDRANT_API_KEY", "QDRANT_READ_ONLY_API_KEY", "AIRFLOW_ADMIN_PASSWORD"),
}
# ${NAME}, ${NAME:-default}, ${NAME:?why}; not $${NAME}, which is the container's own.
VARIABLE = re.compile(r"(?<!\$)\$\{(?P<name>[A-Z_]+)(?:(?P<kind>:[-?])(?P<text>[^}]*))?\}")


def uses() -> list[re.Match[str]]:
    lines = (line for line in COMPOSE.read_text().splitlines() if not line.lstrip().startswith("#"))
    return list(VARIABLE.finditer("\n".join(lines)))


def resolve(value: Any) -> Any:
    """What Compose makes of a value when every secret is `<name>-value` and all else has its default."""
    if isinstance(value, dict):
        return {key: resolve(each) for key, each in value.items()}
    if isinstance(value, list):
        return [resolve(each) for each in value]
    if not isinstance(value, str):
        return value

    def replace(found: re.Match[str]) -> str:
        return found["text"] if found["kind"] == ":-" else f"{found['name']}-value"

    return VARIABLE.sub(replace, value).replace("$$", "$")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return dict(resolve(yaml.safe_load(COMPOSE.read_text())))


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return dict(compose["services"])


def test_follows_the_compose_specification(compose: dict[str, Any]) -> None:
    """A misspelt or misplaced key would only show on the user's machine."""
    schema = files("check_jsonschema") / "builtin_schemas" / "vendor" / "compose-spec.json"
    faults = [
        f"{'/'.join(map(str, fault.absolute_path))}: {fault.message}"
        for fault in Draft202012Validator(json.loads(schema.read_text())).iter_errors(compose)
    ]
    assert faults == []


def test_the_schema_check_sees_a_misspelt_key(compose: dict[str, Any]) -> None:
    """A schema that accepts everything would make the test above worthless."""
    schema = files("check_jsonschema") / "builtin_schemas" / "vendor" / "compose-spec.json"
    wrong = json.loads(json.dumps(compose))
    wrong["services"]["redis"]["healthchek"] = {}
    assert not Draft202012Validator(json.loads(schema.read_text())).is_valid(wrong)


def test_has_every_service(services: dict[str, Any]) -> None:
    """A missing dag-processor or triggerer leaves DAGs unseen or deferred tasks asleep."""
    assert set(services) == SERVICES
    assert {name for name, service in services.items() if service.get("profiles")} == {"worker-gpu", "serving"}


def test_every_secret_is_required_and_says_why() -> None:
    """A secret with a default is the same on every installation: no secret at all."""
    required = {use["name"] for use in uses() if use["kind"] == ":?"}
    assert required == SECRETS
    for use in uses():
        if use["name"] in SECRETS:
            assert use["kind"] == ":?", use[0]
            assert ".env.example" in use["text"], use[0]
        else:
            assert use["kind"] == ":-", f"{use[0]} has neither a default nor an explanation"


def test_no_secret_is_written_out(services: dict[str, Any]) -> None:
    """A password typed into the file would be in the history for ever."""
    for name, service in services.items():
        for key, value in service.get("environment", {}).items():
            if re.search(r"PASSWORD|SECRET|FERNET|API_KEY|SQL_ALCHEMY_CONN|BROKER_URL|RESULT_BACKEND", key):
                assert str(value).count("-value") == 1, f"{name}: {key}"


def test_ports_are_on_loopback_only(services: dict[str, Any]) -> None:
    """A port published on 0.0.0.0 passes by the host's firewall."""
    published = [(name, port) for name, service in services.items() for port in service.get("ports", [])]
    assert published == [("api-server", "127.0.0.1:8080:8080"), ("serving", "127.0.0.1:8090:8090")]
    assert not any(service.get("network_mode") == "host" for service in services.values())


def test_the_resident_asker_has_what_it_needs_and_no_secret_more(services: dict[str, Any]) -> None:
    """It is what a shop's visitors reach: it may read the vector store, and knows nothing of Airflow's database."""
    serving = services["serving"]
    environment = {name: str(value) for name, value in serving["environment"].items()}
    assert {name for name in SECRETS if f"{name}-value" in str(environment)} == {"QDRANT_READ_ONLY_API_KEY"}
    assert not [name for name in environment if name.startswith("AIRFLOW__")]
    with patch.dict(os.environ, environment):
        with pytest.raises(BadSettings, match="there are no keys"):
            Deployment.from_environment()
        os.environ["VITRINE_SERVING_KEYS"] = 24 * "k"
        made = Deployment.from_environment()
    assert made.server is not None
    assert (made.server.url, made.server.api_key) == ("http://qdrant:6333", "QDRANT_READ_ONLY_API_KEY-value")
    assert (made.serving.serving_host, made.serving.serving_port, made.index.store) == ("0.0.0.0", 8090, "server")
    assert serving["entrypoint"][-2:] == ["-m", "include.serving"]


def test_the_web_server_alone_has_the_askers_key(services: dict[str, Any]) -> None:
    """It asks for the Ask page; a task has no use for it."""
    for name in ("VITRINE_ASKER", "VITRINE_ASKER_KEY"):
        assert [each for each in services if name in services[each].get("environment", {})] == ["api-server"]


def test_images_are_pinned_to_a_full_version(services: dict[str, Any]) -> None:
    """`latest` or `17` is another program tomorrow."""
    for name, service in services.items():
        tag = service["image"].rpartition(":")[2]
        assert re.match(r"v?\d+\.\d+(\.\d+)?(-[a-z0-9]+)?$", tag), f"{name}: {service['image']}"
    assert services["qdrant"]["image"].startswith("qdrant/qdrant:v1.2"), "BM25 scoring needs 1.20 or later"


def test_every_lasting_service_has_a_health_check(services: dict[str, Any]) -> None:
    """Without one, `depends_on` and `--wait` take a starting service for a working one."""
    for name in SERVICES - ONE_SHOT:
        check = services[name]["healthcheck"]
        assert check["test"][0] in {"CMD", "CMD-SHELL"}, name
        assert {"interval", "timeout", "retries", "start_period"} <= set(check), name
        assert services[name]["restart"] == "unless-stopped", name
    for name in ONE_SHOT:
        assert services[name]["restart"] == "no"


def test_dependencies_exist_and_wait_for_the_right_condition(services: dict[str, Any]) -> None:
    """Waiting for `healthy` of something that only ever completes would wait for ever."""
    for name, service in services.items():
        for other, how in service.get("depends_on", {}).items():
            expected = "service_completed_successfully" if other in ONE_SHOT else "service_healthy"
            assert how == {"condition": expected}, f"{name} -> {other}"
    assert set(services["worker"]["depends_on"]) == {"airflow-init", "postgres", "redis", "api-server", "qdrant"}


def test_mounted_volumes_are_declared_and_data_is_shared(compose: dict[str, Any]) -> None:
    """A stage on one worker reads what a stage on another wrote; the web server shows the reports."""
    mounted = {
        name: dict(reversed(volume.split(":")) for volume in service["volumes"])
        for name, service in compose["services"].items()
    }
    assert {volume for mounts in mounted.values() for volume in mounts.values()} == set(compose["volumes"])
    for name in ("api-server", "worker", "worker-questions", "worker-gpu", "scheduler", "dag-processor"):
        assert mounted[name]["/opt/airflow/data"] == "data"
        assert mounted[name]["/opt/airflow/logs"] == "logs"
        assert compose["services"][name]["environment"]["VITRINE_DATA"] == "/opt/airflow/data"


def test_airflow_is_set_up_for_production(services: dict[str, Any]) -> None:
    """SimpleAuthManager lets everybody in; a bare postgresql:// asks for a driver that is not installed."""
    for name in SERVICES - {"postgres", "redis", "qdrant", "serving"}:
        environment = services[name]["environment"]
        assert environment["AIRFLOW__CORE__AUTH_MANAGER"].endswith(".FabAuthManager")
        assert environment["AIRFLOW__CORE__EXECUTOR"] == "CeleryExecutor"
        assert environment["AIRFLOW__CORE__LOAD_EXAMPLES"] == "false"
        assert environment["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://api-server:8080/execution/"
        assert environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].startswith("postgresql+psycopg2://")
        assert environment["AIRFLOW__CELERY__RESULT_BACKEND"].startswith("db+postgresql+psycopg2://")
        assert environment["AIRFLOW__CELERY__BROKER_URL"].startswith("redis://:REDIS_PASSWORD-value@redis:")
        assert not [key for key in environment if "SIMPLE_AUTH" in key]
        assert services[name]["cap_drop"] == ["ALL"]
        assert "user" not in services[name], "the image's own user is not root"


def test_redeliveries_wait_longer_than_the_longest_task(services: dict[str, Any]) -> None:
    """Redis hands a message out again after the visibility timeout: two trainings of one model."""
    key = "AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT"
    longest = max(
        int(hours) for hours in re.findall(r"hours=(\d+)", (REPOSITORY / "dags/train_and_index.py").read_text())
    )
    assert int(services["worker"]["environment"][key]) > longest * 3600


def test_the_qdrant_connection_is_one_that_airflow_reads(services: dict[str, Any]) -> None:
    """With a key and no `https: false` the client speaks TLS to a server that does not."""
    from airflow.sdk import Connection

    text = services["worker"]["environment"]["AIRFLOW_CONN_QDRANT_DEFAULT"]
    found = Connection.from_json(text, conn_id="qdrant_default")
    assert (found.conn_type, found.host, found.port) == ("qdrant", "qdrant", 6333)
    assert found.password == "QDRANT_API_KEY-value"
    assert found.extra_dejson["https"] is False


def test_the_gpu_worker_reserves_a_gpu_and_serves_its_queue_alone(services: dict[str, Any]) -> None:
    """Two trainings on one GPU run out of its memory."""
    gpu = services["worker-gpu"]
    assert "--queues gpu --concurrency 1 " in gpu["command"]
    (device,) = gpu["deploy"]["resources"]["reservations"]["devices"]
    assert device["driver"] == "nvidia"
    assert gpu["image"] != services["worker"]["image"]
    assert "--queues default " in services["worker"]["command"]
    assert services["worker"]["environment"]["VITRINE_GPU_QUEUE"] == "default"  # or such tasks would wait for ever
    assert "airflow pools set gpu 1 " in services["airflow-init"]["command"][-1]


def test_questions_have_a_worker_a_queue_and_a_pool_of_their_own(services: dict[str, Any]) -> None:
    """Behind four downloads a question waited 101 s; in a queue that nobody serves it waits for ever."""
    (queue,) = {
        service["environment"]["VITRINE_ANSWER_QUEUE"] for name, service in services.items() if "worker" in name
    }
    served = {
        name: queues
        for name, service in services.items()
        if name.startswith("worker")
        for queues in re.findall(r"--queues (\S+) ", service["command"])
    }
    assert served == {"worker": "default", "worker-questions": queue, "worker-gpu": "gpu"}
    assert queue not in ("default", "gpu")
    assert not services["worker-questions"].get("profiles"), "it runs in every installation"
    # The DAGs are parsed, and tasks get their queue, where the DAG processor runs.
    assert services["dag-processor"]["environment"]["VITRINE_ANSWER_QUEUE"] == queue
    assert "airflow pools set questions 4 " in services["airflow-init"]["command"][-1]
    assert "--concurrency 4 " in services["worker-questions"]["command"]


def test_every_pool_of_the_dags_is_made(services: dict[str, Any]) -> None:
    """A task in a pool that does not exist is never scheduled, and nothing says so."""
    named = {
        pool for path in (REPOSITORY / "dags").glob("*.py") for pool in re.findall(r'"pool": "(\w+)"', path.read_text())
    }
    assert named == {"gpu", "questions"}
    made = re.findall(r"airflow pools set (\w+) ", services["airflow-init"]["command"][-1])
    assert named == set(made)
    assert named < set(server.POOLS)


def test_a_lost_worker_is_noticed_within_two_minutes(services: dict[str, Any]) -> None:
    """With Airflow's 300 s a lost GPU worker held the only GPU for 5:30; under 60 s a busy one counts as lost."""
    key = "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT"
    assert 60 <= int(services["scheduler"]["environment"][key]) <= 90


def test_the_example_environment_names_what_compose_reads() -> None:
    """A variable that the example forgets is one that the user meets as an error."""
    lines = EXAMPLE.read_text().splitlines()
    secrets = dict(line.split("=", 1) for line in lines if re.match(r"[A-Z]", line))
    optional = dict(line[1:].split("=", 1) for line in lines if re.match(r"#[A-Z_]+=", line))
    assert secrets == dict.fromkeys(SECRETS, ""), "secrets stay empty in the example"
    assert optional == {use["name"]: use["text"] for use in uses() if use["kind"] == ":-"}
    for number, line in enumerate(lines):
        if re.match(r"[A-Z]", line):
            assert re.match(r"# (openssl rand|python3 -c) ", lines[number - 1]), f"{line} says not how to make it"


def test_the_example_commands_make_secrets() -> None:
    """A command that fails leaves the user to invent a password."""
    lines = EXAMPLE.read_text().splitlines()
    commands = sorted({line[2:] for line in lines if re.match(r"# (openssl rand|python3 -c) ", line)})
    assert commands
    for command in commands:
        made = subprocess.run(["bash", "-c", command], check=True, capture_output=True, text=True).stdout.strip()
        assert len(made) >= 24, command
        if "base64, os" in command:
            from cryptography.fernet import Fernet

            Fernet(made)


def test_a_filled_in_environment_stays_out_of_git_and_of_the_image() -> None:
    """Secrets in a commit or an image layer cannot be taken back."""
    assert ".env" in (REPOSITORY / ".gitignore").read_text().splitlines()
    rules = (REPOSITORY / ".dockerignore").read_text().splitlines()
    assert "*" in rules
    assert "!.env" not in rules


def test_the_image_is_pinned_unprivileged_and_gets_what_it_copies() -> None:
    """A COPY of something that .dockerignore leaves out fails the build."""
    text = DOCKERFILE.read_text()
    assert re.findall(r"^FROM (\S+)", text, re.MULTILINE) == ["apache/airflow:3.3.2-python3.11"]
    assert re.findall(r"^USER (\S+)", text, re.MULTILINE)[-1:] == ["airflow"]
    copied = {
        word
        for line in re.findall(r"^COPY (.+)$", text, re.MULTILINE)
        for word in line.split()[:-1]
        if word[:2] != "--"
    }
    assert copied == {"requirements.txt", "constraints.txt", "include", "dags", "plugins"}
    allowed = {rule[1:] for rule in (REPOSITORY / ".dockerignore").read_text().splitlines() if rule.startswith("!")}
    assert copied == allowed
    assert all((REPOSITORY / name).exists() for name in copied)
    assert "PYTHONPATH=/opt/airflow:/opt/airflow/plugins" in text  # the second for the connection type


def test_the_images_airflow_and_torch_are_those_of_the_constraints() -> None:
    """A base image of another Airflow would be downgraded by pip, or not start."""
    pins = dict(line.split("==") for line in (REPOSITORY / "constraints.txt").read_text().splitlines() if "==" in line)
    assert f"apache/airflow:{pins['apache-airflow']}-" in DOCKERFILE.read_text()
    assert pins["torch"]
    for package in ("asyncpg", "psycopg2-binary", "celery", "redis"):  # what Postgres and Celery need
        assert package in pins


def test_docker_compose_itself_accepts_the_file(tmp_path: Path) -> None:
    """The real parser is stricter than any schema."""
    docker = shutil.which("docker")
    if docker is None:
        pytest.skip("there is no docker client on PATH")
    if subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode:
        pytest.skip("the docker client here has no compose plugin")
    command = [docker, "compose", "--file", str(COMPOSE), "--project-directory", str(REPOSITORY)]
    filled, empty = tmp_path / "filled", tmp_path / "empty"
    filled.write_text("".join(f"{name}=x\n" for name in SECRETS))
    empty.touch()
    options = ["--profile", "gpu", "config", "--quiet"]
    done = subprocess.run([*command, "--env-file", filled, *options], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    refused = subprocess.run([*command, "--env-file", empty, *options], capture_output=True, text=True, check=False)
    assert refused.returncode != 0
    assert ".env.example" in refused.stderr
