"""An Airflow for the time of a measurement: the one of `make up`, with a home of its own."""

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from include.local import server
from include.local.client import DAG_IDS, AirflowClient


@contextmanager
def airflow(home: Path, data: Path, more_dags: Path | None = None) -> Iterator[AirflowClient]:
    """A client of a new Airflow on a free port, whose DAGs are unpaused; it is stopped at the end.

    Args:
        home: Its `AIRFLOW_HOME`.
        data: Vitrine's data directory.
        more_dags: A folder with DAGs beside Vitrine's.
    """
    kind = "airflow.dag_processing.bundles.local.LocalDagBundle"
    bundles = [{"name": "vitrine", "classpath": kind, "kwargs": {}}]
    if more_dags is not None:
        bundles.append({"name": "more", "classpath": kind, "kwargs": {"path": str(more_dags)}})
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))  # must not leave Airflow behind
    given = {"AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(bundles)}
    local = server.start(home, data, port=server.free_port(), extra=given)
    try:
        with local.client() as client:
            for dag_id in DAG_IDS:
                client.unpause(dag_id)
            yield client
    finally:
        server.stop(local)
