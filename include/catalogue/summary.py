"""What convert counts: the statistics of a `catalogue` artifact, which the report and the request for approval read.

`docs/cleaning.md` says what each is; what an older conversion did not count is nought or empty.
"""

from typing import NotRequired

from pydantic import BaseModel
from typing_extensions import TypedDict

from include.catalogue.attributes import Attribute, AttributeType


class Histogram(TypedDict):
    """`counts[i]` texts have a length in `bounds[i] <= length < bounds[i + 1]`; `bounds` is one longer."""

    bounds: list[int]
    counts: list[int]


class Repeated(TypedDict):
    """A text that several products have: the title and line of the first, and how many."""

    title: str
    line: int
    count: int


class Excerpt(TypedDict):
    """The beginning of a rejected line, and its number, from 1, in its file, which is named where there are several."""

    line: int
    excerpt: str
    file: NotRequired[str]


class Broken(TypedDict):
    """One of several files, set aside: why, its share of their bytes, and the lines that were read before."""

    file: str
    reason: str
    share: float
    lines: int


class ChosenFields(BaseModel):
    """Which columns the products' fields were made of; the columns as the file calls them.

    Attributes:
        uid: Or `content hash`.
        labelled: The content has no column of its own: it names the columns that it is made of.
    """

    uid: str
    title: str
    content: list[str]
    labelled: bool
    attributes: list[Attribute] = []


class AttributeValues(BaseModel):
    """Of one attribute.

    Attributes:
        type: See `include.catalogue.attributes.Attribute`.
        filled: Accepted products that have a value.
        unread: Values that do not read as its type, merged products' too; they are left out.
        examples: The first of those.
        currencies: Values by currency, of money, merged products' too.
    """

    type: AttributeType
    filled: int
    unread: int
    examples: list[str]
    currencies: dict[str, int]


class FileCounts(BaseModel):
    """Of one file, or of several that are one catalogue: read = accepted + rejected + merged."""

    read: int
    accepted: int
    rejected: int
    merged: int
    blank: int | None = None
    short: int | None = None
    merged_different: int | None = None
    same_text: int | None = None
    distinct_texts: int | None = None
    links: int | None = None
    emptied_contents: int | None = None
    with_content: float | None = None
    without_content: int | None = None
    title_chars: dict[str, int] = {}
    content_chars: dict[str, int] = {}
    title_histogram: Histogram = {"bounds": [], "counts": []}
    content_histogram: Histogram = {"bounds": [], "counts": []}
    title_scripts: dict[str, int] = {}
    repeated_texts: list[Repeated] = []
    reasons: dict[str, int] = {}
    examples: dict[str, list[Excerpt]] = {}
    cleaned: dict[str, int] = {}
    mended: dict[str, int] = {}
    ignored: dict[str, int] = {}
    refused_fields: dict[str, int] = {}
    links_nowhere: int | None = None
    warnings: list[str] = []
    attributes: dict[str, AttributeValues] = {}
    files: int | None = None
    broken: list[Broken] = []


class Counted(BaseModel):
    """The files that the source has, the number of products, and where their fields lay."""

    trn: FileCounts
    tst: FileCounts | None = None
    lbl: FileCounts | None = None
    products: int | None = None
    mapping: ChosenFields | None = None  # None: the five fields as they are

    @property
    def files(self) -> dict[str, FileCounts]:
        """By name, those that there are."""
        found = {"trn": self.trn, "tst": self.tst, "lbl": self.lbl}
        return {name: counts for name, counts in found.items() if counts is not None}
