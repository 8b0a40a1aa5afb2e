"""`make demo`: the whole pipeline on this machine, then three questions.

Starts Airflow (or uses the one from `make up`), triggers `train_and_index` through its REST API, shows
each task's progress, asks through `answer_question`, and prints where to look. On a terminal it stays up until Ctrl-C.
The source comes by environment (`GIVEN_SOURCE`), as it was typed: no shell reads it on the way.
"""

import argparse
import logging
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import httpx
from rich.console import Console

from include.catalogue.attributes import shown
from include.core.environment import data_directory
from include.core.errors import SourceUnreachable, VitrineError
from include.core.progress import clock
from include.core.redaction import public
from include.local import server
from include.local.client import DAG_IDS, AirflowClient
from include.local.server import HOME
from include.local.watch import PIPELINE, failure, watch
from include.source import download

INTERRUPTED = 130  # as a shell says of Ctrl-C
PRESET = "quick"  # enough training for a clear gain, in about a minute on two cores
REACH_SECONDS = 30.0
FULL_LOG = "The task's full log is in the UI; `make up` opens it."
console = Console(highlight=False, soft_wrap=True)


def main(arguments: list[str] | None = None) -> int:
    """Run the demo; the exit status is 0 only if every task and every question succeeded."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument(
        "--source",
        default=os.environ.get("GIVEN_SOURCE") or "sample",
        help="sample, a path, an address, or a Google Drive id",
    )
    parser.add_argument("--question", action="append", help="ask this instead; may be given several times")
    options = parser.parse_args(arguments)
    logging.getLogger("httpx").setLevel(logging.WARNING)

    for number in (signal.SIGTERM, signal.SIGHUP):  # a closed terminal must not leave Airflow behind
        signal.signal(number, lambda *_: signal.raise_signal(signal.SIGINT))
    began = time.monotonic()
    done = False
    local = server.running(HOME)
    ours = local is None
    try:
        source = resolve(options.source)
        with console.status("Looking at the source …"):
            reach(source)
        if local is None:
            with console.status("Starting Airflow (about half a minute) …"):
                local = server.start(HOME, data_directory())
        console.print(f"Airflow is up at {local.url}")
        with local.client() as client:
            _run(client, source, options.question)
        done = True
        user, password = local.login()
        console.print(f"\nDone in {clock(time.monotonic() - began)}. Airflow's UI: {local.url}   ", end="")
        console.print(f"user: {user}   password: {password}")
        if ours and sys.stdin.isatty():
            console.print("It stays up until you press Ctrl-C.")
            while local.alive():
                time.sleep(1.0)
    except KeyboardInterrupt:
        console.print("\nStopping.")
        return 0 if done else INTERRUPTED
    except VitrineError as error:
        console.print(f"\n{error}", style="red", markup=False)
        return 1
    except httpx.HTTPError as error:
        console.print(f"\nAirflow's API failed: {error!r}. Its log: {HOME / 'airflow.log'}", style="red", markup=False)
        return 1
    finally:
        if ours and local is not None:
            with console.status("Stopping Airflow …"):
                server.stop(local)
            console.print("Airflow is stopped; `make up` starts it again with everything that was built.")
    return 0


def _run(client: AirflowClient, source: str, questions: list[str] | None) -> None:
    for dag_id in DAG_IDS:
        client.unpause(dag_id)
    run_id = client.trigger(PIPELINE, {"source": source, "preset": PRESET})
    console.print(f"Triggered {PIPELINE} ({run_id}) on {public(source)}, with the preset {PRESET}\n", markup=False)
    state = watch(client, run_id, console)
    if state != "success":
        raise server.AirflowFailed(failure(client, PIPELINE, run_id), FULL_LOG)
    _show_results(client, run_id)
    version = client.xcom(PIPELINE, run_id, "publish")["version"]
    for question in questions or _questions(client, run_id, source):
        ask(client, question, version)


def resolve(source: str) -> str:
    """A path or a pattern is made absolute, since Airflow's tasks run in another directory; all else stays."""
    if source == "sample" or not download.is_path(source):
        return source
    with suppress(OSError, ValueError, RuntimeError):  # no path at all: a look at it says so
        return str(Path(source).expanduser().resolve())
    return source


def reach(source: str) -> None:
    """See that a source is there, before anything is started; nothing of it is fetched.

    Raises:
        BadSource: It is not there, or may not be read.
        SourceUnreachable: It does not answer, at all or within half a minute.
        QuotaExceeded: Google Drive refuses the file for now.
    """
    if source == "sample":
        return
    dated = source.replace("{date}", datetime.now(UTC).strftime("%Y-%m-%d"))
    raised: list[Exception] = []

    def look() -> None:
        try:
            download.reach(dated)
        except Exception as error:
            raised.append(error)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    thread.join(REACH_SECONDS)
    if thread.is_alive():
        raise SourceUnreachable(
            f"{public(dated)} does not answer within {REACH_SECONDS:.0f} seconds.",
            "Check the address, the network and the proxy variables.",
        )
    if raised:
        raise raised[0]


def ask(client: AirflowClient, question: str, version: str) -> None:
    """Ask one version of the index through the DAG and print the answer with its sources."""
    began = time.monotonic()
    run_id = client.trigger("answer_question", {"question": question, "version": version})
    ended = client.wait("answer_question", run_id)
    if ended.get("state") != "success":
        raise server.AirflowFailed(f"{question!r}: {failure(client, 'answer_question', run_id)}", FULL_LOG)
    (result,) = ended["results"].values()
    for each in result["answers"]:
        console.print(f"\nQ: {each['question']}", style="bold", markup=False)
        console.print(f"A: {each['answer']}", markup=False)
        for number, source in enumerate(each["sources"], 1):
            console.print(
                f"   [{number}] {source['title']}  (uid {source['uid']}, {source['score']:.3f})", markup=False
            )
            if attributes := source.get("attributes"):
                console.print(f"       {shown(attributes)}", style="dim", markup=False)
        took = f"   {each['seconds'] * 1000:.0f} ms to answer, {time.monotonic() - began:.1f} s through Airflow"
        console.print(took, style="dim")


def _show_results(client: AirflowClient, run_id: str) -> None:
    counts = client.xcom(PIPELINE, run_id, "convert")["stats"]["trn"]
    console.print(
        f"\nCatalogue: read {counts['read']:,} = accepted {counts['accepted']:,} + rejected {counts['rejected']:,} "
        f"+ merged duplicates {counts['merged']:,}"
    )
    evaluation = client.xcom(PIPELINE, run_id, "evaluate")["stats"]
    for name, protocol in evaluation["protocols"].items():
        console.print(f"Retrieval, {name} ({protocol['queries']:,} queries, {protocol['corpus']:,} products):")
        for system, figures in protocol["systems"].items():
            shown = "  ".join(f"{metric} {value:.3f}" for metric, value in figures.items() if isinstance(value, float))
            console.print(f"   {system:<8} {shown}")
    version = client.xcom(PIPELINE, run_id, "verify")["stats"]
    decision = client.xcom(PIPELINE, run_id, "publish")
    console.print(f"Index: {version['points']:,} points, recall@10 {version['recall']:.3f}")
    told = "live" if decision["published"] else "not live"
    console.print(f"Version {decision['version']}: {told}; {decision['reason']}", markup=False)


def _questions(client: AirflowClient, run_id: str, source: str) -> list[str]:
    if source == "sample":
        from include.sample.products import QUESTIONS

        return list(QUESTIONS[:3])
    from include.catalogue.schema import PRODUCTS_FILE, read_rows

    catalogue = Path(client.xcom(PIPELINE, run_id, "convert")["path"])
    titles = next(read_rows(catalogue / PRODUCTS_FILE, ["title"])).column("title").to_pylist()
    return [f"What is known about {title}?" for title in titles[:: max(len(titles) // 3, 1)][:3]]


if __name__ == "__main__":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    sys.exit(main())
