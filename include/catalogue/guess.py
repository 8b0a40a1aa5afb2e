"""Which column is the uid, the title, the content: as the settings say, or guessed from a catalogue's first records.

A column is known by its name, in any case and with any signs (`Product Name` is `productname`); a uid has to be there
and to differ from record to record as well. What cannot be told, or a setting that names no column, is one error with
the columns that there are.
"""

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, get_args

from include.catalogue.attribute_guess import attribute_name, guessed_type, hint_of, with_signs
from include.catalogue.attributes import AttributeType
from include.catalogue.mapping import (
    CONTENT_HASH,
    LINKS,
    AttributeColumn,
    FieldMapping,
    Path,
    dotted,
    value_at,
)
from include.catalogue.sample_columns import Column, bare, is_id, is_of_another, names_the_product, paths
from include.core.display import printable
from include.core.errors import BadSettings, BadSource
from include.core.settings import ConvertSettings
from include.formats.archive import Part
from include.formats.field_names import OTHER_NAMES, plain_name
from include.formats.line_parser import FIELDS, Refused, json_object

log = logging.getLogger(__name__)

RECORDS = 2000  # looked at, from the beginning
MOST_ATTRIBUTES = 40  # that are guessed
SELDOM = 0.01  # share of the records that have a column which is no attribute by itself
NONE = "none"
BLOCKS = 4  # of lines (2 MiB) that these are looked for in
ENOUGH = 0.9  # share of the records that have a uid, and of those that differ
MOST_COLUMNS = 200
TOLD = 40  # columns in a message


def chosen_mapping(parts: Iterable[Part], settings: ConvertSettings, name: str) -> FieldMapping | None:
    """The mapping that the settings ask for, what they leave open being guessed; None for the five fields as they are.

    Each field's part is logged.

    Args:
        parts: From the catalogue's beginning; only the first are taken.
        settings: Those of the columns.
        name: Of the file, for messages.

    Raises:
        BadSettings: A setting names a column that is not there.
        BadSource: A column could not be guessed.
    """
    found = list(islice(_records(islice(parts, BLOCKS)), RECORDS))
    if not found:
        return None
    in_first = sum(file == found[0][0] for file, _ in found)
    sample = _Sample([record for _, record in found], name, in_first, _asked(settings))
    mapping = sample.mapping(settings)
    if mapping is not None:
        for line in described(mapping, settings):
            log.info("%s", line)
    return mapping


def _asked(settings: ConvertSettings) -> set[str]:
    """The columns that the settings name, with the types of attributes and without them."""
    lists = (settings.uid_field, settings.title_field, settings.content_fields, settings.attributes)
    names = {name.strip() for each in lists for name in (each or "").split(",")}
    return names | {name.rpartition(":")[0].strip() for name in names} - {""}


def described(mapping: FieldMapping, settings: ConvertSettings) -> Iterator[str]:
    """A line for each of our fields: which columns it is made of, and who says so."""
    how = {True: "guessed", False: "as set"}
    yield f"uid is {dotted(mapping.uid)} ({how[settings.uid_field is None]})"
    yield f"title is {dotted(mapping.title)} ({how[settings.title_field is None]})"
    content = ", ".join(map(dotted, mapping.content)) or "nothing"
    labelled = ", each with its name, since no column is a description" if mapping.labelled else ""
    yield f"content is {content}{labelled} ({how[settings.content_fields is None]})"
    for each in mapping.attributes:
        yield f"attribute {each.name} is {dotted(each.path)}, {each.type} ({how[settings.attributes is None]})"


def _records(parts: Iterable[Part]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Records, each with the file that it is from."""
    for part in parts:
        for line in part.lines.split(b"\n"):
            try:
                yield part.file, json_object(line)[0]
            except Refused:
                continue


class _Sample:
    """The first records of a catalogue, by column."""

    def __init__(self, records: Sequence[dict[str, Any]], name: str, in_first: int, asked: Iterable[str]) -> None:
        self.records = records
        self.name = name
        self.in_first = in_first  # of the records, those of the first file: the next day's may repeat their ids
        found = dict.fromkeys(path for record in records for path in paths(record))
        taken = set(sorted(found, key=len)[:MOST_COLUMNS])
        named = {plain_name(name) for name in (*asked, *FIELDS, *" ".join(OTHER_NAMES.values()).split())}
        taken |= {path for path in found if (len(path) == 1 and plain_name(path[0]) in named) or dotted(path) in asked}
        self.columns = {dotted(path): Column(path) for path in found if path in taken}
        for column in self.columns.values():
            values = (value_at(record, column.path) for record in records)
            column.values = [value for value in values if value is not None and value not in ("", [], {})]

    def mapping(self, settings: ConvertSettings) -> FieldMapping | None:
        """See `chosen_mapping`."""
        uid = self._uid(settings.uid_field)
        title = self._title(settings.title_field, uid)
        content = self._content(settings.content_fields, (uid, title))
        attributes = self._attributes(settings.attributes, (uid, title, *content))
        labelled = not content and settings.content_fields is None
        if labelled:
            content = tuple(each.path for each in attributes if not self.columns[dotted(each.path)].is_address)
        made = FieldMapping(uid, title, content, labelled and bool(content), attributes)
        return None if self._as_they_are(made) else made

    def _as_they_are(self, made: FieldMapping) -> bool:
        """Whether these are our five fields, and texts at that."""
        ours = (made.uid, made.title) == (("uid",), ("title",)) and made.content in ((), (("content",),))
        return (
            ours
            and not made.attributes
            and not any(column.nested for column in map(self.columns.get, ("title", "content")) if column)
        )

    def _uid(self, asked: str | None) -> Path:
        if asked is not None:
            return () if asked.strip().casefold() == CONTENT_HASH else self._named(asked, "uid_field")
        own = self.columns.get("uid")
        if own and own.texts:
            return own.path
        wrong = ""
        for column in self._meant("uid"):
            values = (value_at(record, column.path) for record in self.records[: self.in_first])
            ids = [str(value) for value in values if is_id(value)]
            there, distinct = len(ids) / self.in_first, len(set(ids)) / max(len(ids), 1)
            if min(there, distinct) >= ENOUGH:
                return column.path
            wrong += f" {dotted(column.path)} is in {there:.0%} of the records, {distinct:.0%} of its values differ."
        if own:
            return own.path
        raise BadSource(
            f"{self.name}: which column names a product (uid) cannot be told.{wrong} {self._told()}",
            f"Set uid_field to the one that does, or to `{CONTENT_HASH}` for an id of the product's title, content "
            "and attributes.",
        )

    def _title(self, asked: str | None, uid: Path) -> Path:
        if asked is not None:
            return self._named(asked, "title_field")
        own = self.columns.get("title")
        if own and own.texts:
            return own.path
        likely = [column for column in self.columns.values() if names_the_product(column.path)]
        for column in (*self._meant("title"), *sorted(likely, key=lambda column: len(column.path))):
            if column.path != uid and len(column.texts) * 2 > len(self.records) and not column.is_address:
                return column.path
        if own:
            return own.path
        raise BadSource(
            f"{self.name}: which column is a product's title cannot be told. {self._told()}",
            "Set title_field to the one that is.",
        )

    def _content(self, asked: str | None, used: Sequence[Path]) -> tuple[Path, ...]:
        if asked is not None:
            names = (name.strip() for name in asked.split(","))
            return tuple(dict.fromkeys(self._named(name, "content_fields") for name in names if name))
        if "content" in self.columns and self.columns["content"].texts:
            return (("content",),)
        found = [column for column in self._meant("content") if column.path not in used]
        found = [column for column in found if column.texts and not column.is_address]
        # An object `text` with a `description` and `bullets` in it is made of these, not of all that it holds.
        held = {column.path[:-1] for column in found}
        found = [column for column in found if column.path not in held]
        shallowest = min((len(column.path) for column in found), default=0)
        return tuple(column.path for column in found if len(column.path) == shallowest)

    def _attributes(self, asked: str | None, used: Sequence[Path]) -> tuple[AttributeColumn, ...]:
        if asked is not None and asked.strip().casefold() == NONE:
            return ()
        chosen = self._sensible(used) if asked is None else self._asked_attributes(asked)
        names: Counter[str] = Counter()
        made = []
        for column, kind in chosen:
            name = attribute_name(column.path)
            names[name] += 1
            unique = name if names[name] == 1 else f"{name}_{names[name]}"
            if kind is None:
                made.append(AttributeColumn(unique, *guessed_type(dotted(column.path), column.values), column.path))
            else:
                made.append(AttributeColumn(unique, kind, hint_of(kind, column.values), column.path))
        return tuple(with_signs(made, [column.values for column, _ in chosen], [kind is None for _, kind in chosen]))

    def _sensible(self, used: Sequence[Path]) -> list[tuple[Column, AttributeType | None]]:
        """Columns with values of their own that are none of those in use; of too many, those that most records have."""
        whole_ones = {path for path in used if path and not self.columns[dotted(path)].holds_columns}
        free = [
            column
            for column in self.columns.values()
            if column.path not in used
            and column.path[0] not in LINKS
            and not any(column.path[:depth] in whole_ones for depth in range(1, len(column.path)))
        ]
        filled = {column.path: len(column.texts) for column in free if not column.holds_columns}
        enough = [column for column in free if filled.get(column.path, 0) > SELDOM * len(self.records)]
        most = sorted(enough, key=lambda column: -filled[column.path])[:MOST_ATTRIBUTES]
        return [(column, None) for column in enough if column in most]

    def _asked_attributes(self, asked: str) -> list[tuple[Column, AttributeType | None]]:
        chosen: dict[Path, tuple[Column, AttributeType | None]] = {}
        for item in filter(str.strip, asked.split(",")):
            name, sign, kind = (part.strip() for part in item.rpartition(":"))
            known = next((each for each in get_args(AttributeType) if each == kind.casefold()), None)
            path = self._named(name if sign and known else item, "attributes")
            chosen[path] = (self.columns[dotted(path)], known)
        return list(chosen.values())

    def _meant(self, ours: str) -> list[Column]:
        """Columns that are called as other catalogues call a field of ours; the likeliest name first."""
        names = {plain_name(name): place for place, name in enumerate([ours, *OTHER_NAMES[ours].split()])}
        found = []
        for column in self.columns.values():
            if (name := bare(column)) in names and (ours == "content" or not is_of_another(column.path)):
                numbered = ours != "content" and name != plain_name(column.path[-1])
                found.append((len(column.path), numbered, names[name], column))
        return [column for *_, column in sorted(found, key=lambda each: each[:-1])]

    def _named(self, asked: str, setting: str) -> Path:
        asked = asked.strip()
        if asked in self.columns:
            return self.columns[asked].path
        alike = [column for name, column in self.columns.items() if plain_name(name) == plain_name(asked)]
        if len(alike) == 1:
            return alike[0].path
        raise BadSettings(
            f"{self.name} has no column {printable(asked, 40)!r}, which {setting} names. {self._told()}",
            f"Set {setting} to one of these columns, or empty it.",
        )

    def _told(self) -> str:
        """The columns with sample values, for a message."""
        said = []
        for name, column in list(self.columns.items())[:TOLD]:
            some = [repr(printable(text, 30)) for text in islice(dict.fromkeys(column.texts), 3)]
            said.append(f"{printable(name, 40)} ({', '.join(some) or 'always empty'})")
        more = f" and {len(self.columns) - TOLD} more" if len(self.columns) > TOLD else ""
        return f"The first {len(self.records):,} records have: {'; '.join(said)}{more}."
