"""What a deployment sets by environment variables, beside the defaults of the forms: each once.

The defaults of the forms have variables of their own, `VITRINE_<NAME>`: see `include/core/forms.py`, which writes the
reference of both into docs/operations.md.
"""

import os
from pathlib import Path
from typing import NamedTuple

REPOSITORY = Path(__file__).resolve().parents[2]


class Variable(NamedTuple):
    """An environment variable.

    Attributes:
        name: As the environment has it.
        default: What holds where it is not set.
        meaning: For the reference, in Markdown.
    """

    name: str
    default: str
    meaning: str

    @property
    def given(self) -> str:
        """What it is set to; empty where it is not, or to nothing."""
        return os.environ.get(self.name, "")

    @property
    def value(self) -> str:
        """What it is set to, else the default."""
        return self.given or self.default


DATA = Variable(
    "VITRINE_DATA",
    "data",
    "The data directory; the default lies in the checkout, of an installed package in the current directory. The same "
    "for every task.",
)
SCHEDULE = Variable(
    "VITRINE_SCHEDULE",
    "0 3 * * 0",
    "When `train_and_index` runs by itself: cron, UTC; `none` for no schedule, which is what `make demo` and `make up` "
    "set where it is not given.",
)
CHECK_SCHEDULE = Variable(
    "VITRINE_CHECK_SCHEDULE",
    "0 5 * * *",
    "When `check_answers` looks whether the live index still answers: cron, UTC; `none` for no schedule.",
)
GPU_QUEUE = Variable("VITRINE_GPU_QUEUE", "default", "Celery's queue of the tasks that gain by a GPU.")
ANSWER_QUEUE = Variable("VITRINE_ANSWER_QUEUE", "default", "Celery's queue of answering and of rolling back.")
PORT = Variable(
    "VITRINE_PORT",
    "8080",
    "The web server's port on 127.0.0.1, 1024 to 65535; where it is taken, `make up` takes the next free one. Not "
    "given: that of the last start.",
)
DRIVE_COOKIES = Variable(
    "VITRINE_DRIVE_COOKIES",
    "",
    "A cookies.txt (Netscape form) of a browser that is signed in to Google, for Drive files that need a login or "
    "whose quota is used up.",
)
SERVING_KEYS = Variable(
    "VITRINE_SERVING_KEYS",
    "",
    "API keys of the resident asker, separated by spaces or commas, each of 24 characters or more: `openssl rand -hex "
    "24`. A file (`serving_key_file`) is better kept.",
)
AIRFLOW = Variable(
    "VITRINE_AIRFLOW", "", "Address of the Airflow that `vitrine` talks to; not given: the one of `make up`."
)
USER = Variable("VITRINE_USER", "", "Whom `vitrine` logs in to Airflow as; not given: the admin of `make up`.")
PASSWORD = Variable(
    "VITRINE_PASSWORD", "", "The password for that; not given: it is known of `make up`, else asked for."
)
VARIABLES = (
    DATA,
    SCHEDULE,
    CHECK_SCHEDULE,
    GPU_QUEUE,
    ANSWER_QUEUE,
    PORT,
    DRIVE_COOKIES,
    SERVING_KEYS,
    AIRFLOW,
    USER,
    PASSWORD,
)


def data_directory() -> Path:
    """Where artifacts lie."""
    beside = REPOSITORY if (REPOSITORY / "dags").is_dir() else Path()  # an installed package lies among others
    return Path(DATA.given or beside / DATA.default).resolve()
