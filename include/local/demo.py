"""`make demo`: the whole pipeline on this machine, then three questions.

Starts Airflow (or uses the one from `make up`), triggers `train_and_index` through its REST API, shows
each task's progress, asks through `answer_question`, and prints where to look. On a terminal it stays up until Ctrl-C.
"""

import argparse
import logging
import os
import re
import signal
import sys
import time
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from include.errors import BadSource, VitrineError
from include.local import server
from include.local.client import AirflowClient
from include.progress import clock, pace
from include.settings import REPOSITORY, data_directory

PIPELINE = "train_and_index"
ENDED = {"success", "failed"}
INTERRUPTED = 130  # as a shell says of Ctrl-C
HOME = REPOSITORY / ".airflow"
PRESET = "quick"  # enough training for a clear gain, in about a minute on two cores
POLL_SECONDS = 2.0  # each poll is work for the web server, on the cores that train
console = Console(highlight=False, soft_wrap=True)


def main(arguments: list[str] | None = None) -> int:
    """Run the demo; the exit status is 0 only if every task and every question succeeded."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--source", default="sample", help="sample, a path, an address, or a Google Drive id")
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
    for dag_id in (PIPELINE, "answer_question", "roll_back"):
        client.unpause(dag_id)
    run_id = client.trigger(PIPELINE, {"source": source, "preset": PRESET})
    console.print(f"Triggered {PIPELINE} ({run_id}) on {source}, with the preset {PRESET}\n")
    state = watch(client, run_id)
    if state != "success":
        raise server.AirflowFailed(failure(client, run_id), "The task's full log is in the UI; `make up` opens it.")
    _show_results(client, run_id)
    version = client.xcom(PIPELINE, run_id, "publish")["version"]
    for question in questions or _questions(client, run_id, source):
        ask(client, question, version)


def resolve(source: str) -> str:
    """A path is made absolute, since Airflow's tasks run in another directory; all else stays."""
    path = Path(source).expanduser()
    if source == "sample" or "://" in source or "{date}" in source or re.fullmatch(r"[\w-]{25,}", source):
        return source
    if not path.exists():
        raise BadSource(
            f"There is no file {path.resolve()}.",
            "SOURCE is a path, an address with :// in it, or a Google Drive id.",
        )
    return str(path.resolve())


def watch(client: AirflowClient, run_id: str) -> str:
    """Show a bar for each task until the run has ended; returns its state."""
    columns = (SpinnerColumn(finished_text=" "), TextColumn("{task.description:<22}"), BarColumn(24))
    with Progress(*columns, TextColumn("{task.fields[note]}"), TimeElapsedColumn(), console=console) as bars:
        lines: dict[tuple[str, int], TaskID] = {}
        told: dict[tuple[str, int], tuple[str, float]] = {}
        while True:
            state = client.run_state(PIPELINE, run_id)
            for each in client.task_instances(PIPELINE, run_id):
                if each["state"] in (None, "scheduled", "queued", "removed"):
                    continue
                key = (each["task_id"], each["map_index"])
                name = each["task_id"] + (f" {each['map_index'] + 1}" if each["map_index"] >= 0 else "")
                if key not in lines:
                    lines[key] = bars.add_task(name, total=None, note="")
                _update(client, run_id, bars, lines[key], each, told, quiet=not console.is_terminal)
            if state in ENDED:
                return state
            time.sleep(POLL_SECONDS)


def _update(
    client: AirflowClient,
    run_id: str,
    bars: Progress,
    line: TaskID,
    each: dict[str, Any],
    told: dict[tuple[str, int], tuple[str, float]],
    *,
    quiet: bool,
) -> None:
    key = (each["task_id"], each["map_index"])
    before, when = told.get(key, ("", 0.0))
    if before in ENDED:
        return
    state = each["state"]
    shot = client.progress(PIPELINE, run_id, *key) if state in ("running", "success") else {}
    note = describe(shot) if shot else ""
    if state == "success":
        bars.update(line, total=1, completed=1, note=f"{note or 'done'}")
    else:
        shown = note if state == "running" else f"{state} {note}"
        if state == "up_for_retry" and state != before:
            lines = client.log(PIPELINE, run_id, key[0], each["try_number"], key[1])
            console.print("\n".join(f"  {key[0]} will be tried again: {text}" for text in errors(lines)), markup=False)
        total = shot.get("total")
        bars.update(line, total=total, completed=shot.get("done", 0) if total else 0, note=shown)
    # Without a terminal there are no bars: a line when a task changes, and one every ten seconds.
    if quiet and (state != before or time.monotonic() - when > 10.0):
        took = f" in {each['duration']:.1f} s" if state in ENDED and each["duration"] else ""
        console.print(f"  {bars.tasks[line].description:<18} {state}{took}   {note}", markup=False)
        when = time.monotonic()
    elif state == before:
        return
    told[key] = (state, when)


def describe(shot: dict[str, Any]) -> str:
    """A snapshot of `include.progress` as a short text."""
    count = f"{shot['done']:,}" + (f"/{shot['total']:,}" if shot.get("total") else "")
    text = f"{count} {shot['unit']}, {pace(shot['rate'])}/s"
    if shot.get("seconds_left"):
        text += f", {clock(shot['seconds_left'])} left"
    if "loss" in shot:
        text += f", loss {shot['loss']:.3f}"
    return text


def failure(client: AirflowClient, run_id: str) -> str:
    """Which tasks failed, each with the last lines of its log."""
    text = ""
    for each in client.task_instances(PIPELINE, run_id):
        if each["state"] == "failed":
            lines = client.log(PIPELINE, run_id, each["task_id"], each["try_number"], each["map_index"])
            text += f"Task {each['task_id']} failed. The end of its log:\n" + "\n".join(lines[-15:]) + "\n"
    return text or f"Run {run_id} failed before any task did."


def errors(lines: list[str]) -> list[str]:
    """The lines of a task's log that carry an exception."""
    return [text for line in lines for text in line.split("\n") if re.match(r"\w+: ", text)][-1:]


def ask(client: AirflowClient, question: str, version: str) -> None:
    """Ask one version of the index through the DAG and print the answer with its sources."""
    began = time.monotonic()
    run_id = client.trigger("answer_question", {"question": question, "version": version})
    ended = client.wait("answer_question", run_id)
    if ended.get("state") != "success":
        lines = client.log("answer_question", run_id, "answer_question", 1)
        raise server.AirflowFailed(f"The question {question!r} failed:\n" + "\n".join(lines[-15:]))
    (result,) = ended["results"].values()
    for each in result["answers"]:
        console.print(f"\nQ: {each['question']}", style="bold", markup=False)
        console.print(f"A: {each['answer']}", markup=False)
        for number, source in enumerate(each["sources"], 1):
            console.print(
                f"   [{number}] {source['title']}  (uid {source['uid']}, {source['score']:.3f})", markup=False
            )
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
    console.print(
        f"Version {decision['version']}: {'live' if decision['published'] else 'not live'}; {decision['reason']}"
    )


def _questions(client: AirflowClient, run_id: str, source: str) -> list[str]:
    if source == "sample":
        from include.sample import QUESTIONS

        return list(QUESTIONS[:3])
    from include.catalogue import PRODUCTS_FILE, read_rows

    catalogue = Path(client.xcom(PIPELINE, run_id, "convert")["path"])
    titles = next(read_rows(catalogue / PRODUCTS_FILE, ["title"])).column("title").to_pylist()
    return [f"What is known about {title}?" for title in titles[:: max(len(titles) // 3, 1)][:3]]


if __name__ == "__main__":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    sys.exit(main())
