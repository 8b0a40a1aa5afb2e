"""`vitrine`, also `python -m include.shell`: the commands."""

import logging
import sys
import webbrowser
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from include.core.answer_settings import AnswerSettings
from include.core.errors import BadQuestion, BadSettings, VitrineError
from include.core.redaction import escaped
from include.shell.exits import DONE, FAILED, NOTHING, Shell, interactive, tell
from include.shell.options import PLACE, Asked, command, harmless, printed

if TYPE_CHECKING:
    from include.shell.remote import Remote

app = typer.Typer(
    cls=Shell,
    help="Questions, versions and runs of Vitrine, from a terminal.",
    epilog="Exit codes: 0 done, 1 failed, 2 wrong usage, 3 nothing found, 4 Airflow or the store cannot be reached, "
    "130 interrupted.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
SEARCHING = ("top_k", "mode", "bm25_weight", "translator", "filter", "facets", "version")
AIRFLOW_ONLY = ("local", "data")
PREVIOUS = "previous"

Run = Annotated[str | None, typer.Argument(help="A run's id; the newest where it is left out.")]


def _names() -> list[str]:
    from include.core.pipeline_settings import GROUPS

    return ["preset=", *(f"{name}=" for group in GROUPS.values() for name in group.model_fields)]


def _dags() -> list[str]:
    from include.local.client import DAG_IDS

    return list(DAG_IDS)


@command(app, *AnswerSettings.model_fields)
def ask(
    asked: Asked, question: Annotated[list[str], typer.Argument(help="One or several; - reads them, one a line.")]
) -> None:
    """Answer questions with their sources. 3 where none of them is answered."""
    questions = [line.strip() for line in sys.stdin if line.strip()] if question == ["-"] else question
    if not questions:
        raise BadQuestion("There is no question on standard input.", "Write one a line.")
    with asked.open() as place:
        found = place.ask(questions, asked.settings)
    _end(asked, found, "answers", NOTHING if not any(each["found"] for each in found["answers"]) else DONE)


@command(app, *SEARCHING)
def search(asked: Asked, question: Annotated[str, typer.Argument(help="A question, or words of it.")]) -> None:
    """The products for a question by rank, without an answer. 3 where there are none."""
    with asked.open() as place:
        found = place.search(question, asked.settings)
    _end(asked, found, "products", DONE if found["products"] else NOTHING)


@command(app)
def status(asked: Asked) -> None:
    """What is live, and whether all is well. 1 where a part of Airflow is not, 3 where nothing is live."""
    with asked.open() as place:
        found = place.status()
    unwell = any(state not in (None, "healthy") for state in found.get("health", {}).values())
    _end(asked, found, "status", FAILED if unwell else DONE if found["live"] else NOTHING)


@command(app)
def versions(asked: Asked) -> None:
    """The versions that are kept, the live one marked. 3 where there are none."""
    with asked.open() as place:
        found = place.versions()
    _end(asked, found, "versions", DONE if found else NOTHING)


@command(app)
def rollback(
    asked: Asked,
    version: Annotated[str, typer.Argument(help="Its fingerprint, or previous: the one before.")] = PREVIOUS,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Put an earlier version back."""
    with asked.open() as place:
        if not yes:
            if not interactive():
                raise BadSettings("There is no terminal to ask on.", "Add --yes.")
            typer.confirm(f"Put the version {version} back?", abort=True, err=True)
        found = place.roll_back(version)
    _say(asked, found, f"Version {found['version']} is live; before it was {found['previous']}.")


@command(app, without=AIRFLOW_ONLY)
def trigger(
    asked: Asked,
    settings: Annotated[
        list[str] | None,
        typer.Argument(help="Settings, such as source=shop.csv preset=quick.", autocompletion=_names),
    ] = None,
    date: Annotated[datetime | None, typer.Option(help="The date that the run stands for, UTC.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Show the tasks until the run has ended.")] = False,
    unpause: Annotated[bool, typer.Option("--unpause", help="Let the DAG's runs start.")] = False,
) -> None:
    """Start a run of train_and_index. With --wait 1 where it fails."""
    conf = _conf(settings or [])
    with asked.airflow() as place:
        run_id = place.trigger(conf, None if date is None else f"{date.isoformat()}Z", unpause=unpause)
        if not wait:
            _say(asked, {"run_id": run_id, "state": "queued"}, f"Triggered {run_id}")
            return
        found = _watched(place, run_id)
    _say(asked, found, _decision(found))
    raise typer.Exit(DONE if found["state"] == "success" else FAILED)


@command(app, without=AIRFLOW_ONLY)
def runs(
    asked: Asked,
    run: Annotated[str | None, typer.Argument(help="A run's id: show its tasks, and why it failed.")] = None,
    dag: Annotated[str, typer.Option(help="Of which DAG.", autocompletion=_dags)] = "train_and_index",
    limit: Annotated[int, typer.Option(min=1, max=100, help="How many.")] = 10,
) -> None:
    """The newest runs, or one run's tasks. 3 where there are none."""
    with asked.airflow() as place:
        if run is None:
            listed = place.runs(dag, limit)
            _end(asked, listed, "runs", DONE if listed else NOTHING)
        _end(asked, place.tasks(dag, run or ""), "tasks", DONE)


@command(app, without=PLACE)
def report(
    asked: Asked,
    run: Run = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write it there.")] = None,
    open_it: Annotated[bool, typer.Option("--open", help="Show it in the browser.")] = False,
) -> None:
    """Where a run's report is: one page, which --open shows. 3 where there is none."""
    with asked.open() as place:
        found = place.report(run, output)
    _say(asked, found, found["path"])
    if open_it and not webbrowser.open(Path(found["path"]).resolve().as_uri()):
        raise VitrineError("There is no browser to open it in.", f"The page is {found['path']}")


@command(app)
def exam(asked: Asked) -> None:
    """Ask the live version the exam that it was published with. 1 where it answers worse, 3 where it has none."""
    with asked.open() as place:
        found = place.exam()
    _end(asked, found, "exam", DONE if found["checked"] else NOTHING)


@command(app, without=("as_json",))
def feedback(
    asked: Asked, output: Annotated[Path | None, typer.Option("--output", "-o", help="Write it there.")] = None
) -> None:
    """What people said of answers, as a questions file: JSON lines. 3 where no question comes of it."""
    with asked.open() as place:
        lines = place.feedback()
    if output is not None:
        output.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    elif lines:
        harmless("\n".join(lines))
    raise typer.Exit(DONE if lines else NOTHING)


def _end(asked: Asked, found: Any, shown_as: str, code: int) -> None:
    """Print a result as JSON, or as `show` does it, and end."""
    if asked.as_json:
        printed(found)
    else:
        from include.shell import show

        getattr(show, shown_as)(found)
    raise typer.Exit(code)


def _say(asked: Asked, found: Any, told: str) -> None:
    """Print a result as JSON, or in a sentence."""
    if asked.as_json:
        printed(found)
    else:
        typer.echo(escaped(told))


def _conf(settings: list[str]) -> dict[str, Any]:
    """What was written as name=value, in the settings' own types; a path that is here is made absolute.

    Raises:
        BadSettings: A name is unknown, or a value refused.
    """
    from include.core.forms import pipeline_settings
    from include.core.pipeline_settings import GROUPS
    from include.local.demo import resolve

    pairs = [each.partition("=") for each in settings]
    if odd := [each for each, equals, _ in pairs if not equals]:
        raise BadSettings(f"{odd[0]!r} is not name=value.", "Write settings such as source=shop.csv.")
    given = {name: resolve(value) if name in ("source", "questions") else value for name, _, value in pairs}
    made = pipeline_settings(given)
    typed = {name: value for group in GROUPS for name, value in getattr(made, group).model_dump().items()}
    return {name: typed.get(name, value) for name, value in given.items()}


def _watched(place: "Remote", run_id: str) -> dict[str, Any]:
    """The run when it has ended: its state, and what publish decided or why it failed."""
    from include.local.watch import PIPELINE, failure, watch
    from include.shell import show

    state = watch(place.client, run_id, show.console(stderr=True), patient=True)
    if state != "success":
        return {"run_id": run_id, "state": state, "failure": failure(place.client, PIPELINE, run_id)}
    return {"run_id": run_id, "state": state, "publish": place.client.xcom(PIPELINE, run_id, "publish")}


def _decision(found: dict[str, Any]) -> str:
    if "publish" not in found:
        tell(found["failure"])
        return f"{found['run_id']} failed"
    decided = found["publish"]
    return f"Version {decided['version']}: {'live' if decided['published'] else 'not live'}; {decided['reason']}"


def main() -> None:
    """Run the command that was typed."""
    logging.basicConfig(level=logging.CRITICAL)  # what is wrong is in the result, or ends the command
    app(prog_name="vitrine")


if __name__ == "__main__":
    main()
