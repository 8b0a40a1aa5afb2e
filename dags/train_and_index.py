"""
### From a catalogue to a live search index

`download → convert → read_questions → fine_tune → train_reader, evaluate → plan_shards → [embed → upsert] × shards
→ verify → examine → approve → publish → prune → report, outcome`

| stage | does | look at |
|---|---|---|
| download | fetches the catalogue; the file's kind and sha256 are checked | bytes |
| convert | cleans lines into Parquet; unusable ones are set aside with reasons | read = accepted + rejected + merged |
| read_questions | checks what *Questions* names, and what people said of answers, against the catalogue | rejects |
| fine_tune | trains the bi-encoder on title-content and related-title pairs | loss |
| train_reader | where questions come with evidence: trains the reader, which says what answers | its gate |
| evaluate | searches for held-out products with BM25, the base, the new and the live model | nDCG@10, the gate |
| plan_shards, embed, upsert | embeds and loads the products, a pair of tasks a shard | products/s |
| verify | counts, sampled vectors and payloads, recall@10 against exact search | recall |
| examine | where there are questions: asks them of this version and the live one | right product first, wrong answers |
| approve | where *Promote* is `approval`, waits for a person: see below | answer |
| publish | moves the alias in one step; earlier versions stay | decision |
| prune | frees the disk of what neither a published version nor one of the last *Runs kept* needs | MiB |
| report, outcome | one page, also the run's **Report** tab; red, and with it the run, unless publish has succeeded | |

**Progress** of a task: its log, and its *state store* (`progress`). **Nothing is done twice**: an output is found again
by the fingerprint of its inputs and settings, and logged as `reused`.

* **Retry**: open the failed task, *Clear task*: it goes on where it was. The log says what to do first.
* **Schedule**: `VITRINE_SCHEDULE` (cron; default Sunday 03:00 UTC; `none` for no schedule); unpause the DAG.
* **Backfill**: `airflow backfill create --dag-id train_and_index --from-date 2026-11-01 --to-date 2026-11-08` makes a
  run for each tick between the two midnights: seven if daily. `{date}` in *Catalogue* reads each day's file.
* **Try things out** in a *Collection* of their own; a sample never replaces a real catalogue by itself.
* **Approve**: *Required Actions* (on the start page, on the DAG and on the run) lists the runs that wait, each with its
  figures; the run's *Report* tab has the rest. *Approve* publishes, also against the gate; *Reject* keeps the version.
* **Roll back**: trigger `roll_back`. **Ask**: trigger `answer_question`, or open *Ask* in the menu.
"""

from datetime import timedelta
from typing import Any

from airflow.sdk import CronTriggerTimetable, dag, result, task_group

from dags.approval import approve
from dags.ending import outcome, prune, report
from dags.stage_task import form, stage
from include import stages
from include.core import environment
from include.core.pipeline_settings import GROUPS, PresetSettings

GPU = {"pool": "gpu", "queue": environment.GPU_QUEUE.value}
CRON = environment.SCHEDULE.value
# `run_immediately` of nought: an unpaused DAG waits for the next tick rather than running at once for the last one.
SCHEDULE = None if CRON == "none" else CronTriggerTimetable(CRON, timezone="UTC", run_immediately=timedelta(0))


@dag(
    schedule=SCHEDULE,
    params=form(PresetSettings, *GROUPS.values()),
    doc_md=__doc__,
    tags=["vitrine"],
    max_active_runs=4,
)
def train_and_index() -> None:
    """The pipeline: the stages in their order, embedding and upsert once a shard."""
    download = stage(stages.download, hours=12)
    convert = stage(stages.convert, hours=6)
    read_questions = stage(stages.read_questions, hours=6)
    fine_tune = stage(stages.fine_tune, hours=72, **GPU)
    train_reader = stage(stages.train_reader, hours=12)
    evaluate = stage(stages.evaluate, hours=6, **GPU)
    plan_shards = stage(stages.plan_shards, hours=1)
    embed = stage(stages.embed, hours=24, **GPU)
    upsert = stage(stages.upsert, hours=12)
    verify = stage(stages.verify, hours=6)
    examine = stage(stages.examine, hours=6)
    publish = result(stage(stages.publish, hours=1))

    @task_group
    def shard(part: Any) -> Any:
        return upsert(embed(part))

    source = download()
    catalogue = convert(source)
    questions = read_questions(catalogue)
    model = fine_tune(catalogue, questions)
    reader = train_reader(catalogue, model, questions)
    evaluation = evaluate(catalogue, model)
    parts = plan_shards(catalogue, model)
    evaluation >> parts
    shards = shard.expand(part=parts)
    version = verify(shards)
    exam = examine(version, evaluation, questions, reader)
    results = {"download": source, "convert": catalogue, "read_questions": questions, "fine_tune": model}
    results |= {"train_reader": reader, "evaluate": evaluation, "shards": shards, "verify": version, "examine": exam}
    approval = approve(results)
    decision = publish(version, evaluation, approval, exam, reader)
    [shards, decision] >> (freed := prune())
    report({**results, "approve": approval, "publish": decision, "prune": freed})
    [shards, decision] >> outcome()


train_and_index()
