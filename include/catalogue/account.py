"""What convert says of its counts: the balance in the log, warnings, and the two refusals.

A person who gave a file with other field names, or labels of another file, reads it here and in the report.
"""

import logging
from collections.abc import Iterator, Mapping
from typing import Any

from include.catalogue.mapping import CONTENT_HASH, FieldMapping, dotted
from include.core.display import printable
from include.core.errors import EmptyCatalogue, TooManyRejects
from include.core.settings import ConvertSettings
from include.formats.field_names import listed, meant
from include.formats.line_parser import FIELDS
from include.formats.members import ROLES

log = logging.getLogger(__name__)

MOST = 0.5  # a share above this is "most of them"
FEW = 0.01  # a share up to this is no worry


def warnings(role: str, counts: Mapping[str, Any], labels: Mapping[str, Any] | None) -> list[str]:
    """What is wrong with most of a file's products, or with most of their links, though the file can be used.

    Args:
        role: Of the file.
        counts: Its statistics.
        labels: Those of `lbl`, None where the source has none.
    """
    found = [
        f"{role}: {printable(broken['file'])} is set aside ({broken['share']:.1%} of the files' bytes), "
        f"{broken['lines']:,} lines before that are kept: {broken['reason']}"
        for broken in counts.get("broken", ())
    ]
    accepted, empty = counts["accepted"], counts["without_content"]
    found += _merge_warnings(role, counts)
    if role != "lbl" and accepted and empty > MOST * accepted:
        said = f"{role}: {empty:,} of {accepted:,} products have no content"
        if counts["emptied_contents"]:
            said += f" ({counts['emptied_contents']:,} had one that cleaning left nothing of)"
        if counts["ignored"]:
            said += f"; ignored fields: {listed(counts['ignored'])}"
        others = (*counts["ignored"], *counts.get("attributes", ()))
        likely = ", ".join(name for name in others if meant(name) == "content")
        found.append(
            f"{said}. Did you mean another field? Then set content_fields to {likely}." if likely else f"{said}."
        )
    if role != "lbl" and (lost := counts["links_nowhere"]) > MOST * counts["links"]:
        said = f"{role}: {lost:,} of {counts['links']:,} links (target_ind) lead nowhere"
        if labels is None:
            found.append(f"{said}: the source has no lbl file. target_ind counts the lines of lbl.json.gz from 0.")
        else:
            found.append(
                f"{said}: lbl has {labels['read']:,} lines, of which {labels['accepted']:,} are accepted. Check that "
                "it is the lbl of this catalogue, and whole."
            )
    found += _attribute_warnings(role, counts.get("attributes", {}))
    if role == "tst" and not accepted:
        reasons = f": {named_reasons(counts)}" if counts["rejected"] else ""
        found.append(
            f"tst: none of {counts['read']:,} lines is a product{reasons}. Evaluation has no questions from it, so "
            "query_to_label is not measured."
        )
    if role == "lbl" and counts["rejected"] > MOST * counts["read"]:
        found.append(
            f"lbl: {counts['rejected']:,} of {counts['read']:,} lines were rejected: {named_reasons(counts)}. "
            "Links to them lead nowhere."
        )
    return found


def _merge_warnings(role: str, counts: Mapping[str, Any]) -> Iterator[str]:
    merged, different = counts["merged"], counts.get("merged_different") or 0
    if different > FEW * counts["read"] and "files" not in counts:
        yield (
            f"{role}: {different:,} of {counts['read']:,} records have the uid of an earlier one and another text: "
            "they are left out. If they are other products, set uid_field to the column that tells them apart."
        )
    if "files" in counts and merged > FEW * counts["read"]:
        yield (
            f"{role}: {merged:,} records of the {counts['files']:,} files repeat a uid ({different:,} with "
            "another text). The first one counts, in the order of the files' names: of daily exports of all products, "
            "give the newest alone."
        )


def _attribute_warnings(role: str, attributes: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    for name, values in attributes.items():
        if len(values["currencies"]) > 1:
            seen = ", ".join(f"{currency} {count:,}" for currency, count in values["currencies"].items())
            yield f"{role}: attribute {name} has several currencies ({seen}); amounts are compared as if of one."
        if values["unread"] > MOST * (values["filled"] + values["unread"]):
            yield f"{role}: most of {_unread(name, values)}. Give it another type in the setting attributes."


def _unread(name: str, values: Mapping[str, Any]) -> str:
    some = ", ".join(map(repr, values["examples"]))
    return f"attribute {name}'s values do not read as {values['type']} ({values['unread']:,}, such as {some})"


def log_counts(stats: Mapping[str, Any]) -> None:
    """The balance of each file, and what was cleaned, mended or ignored."""
    for role in ROLES:
        if role not in stats:
            continue
        counts = stats[role]
        log.info(
            "%s: read %s = accepted %s + rejected %s + merged %s",
            role,
            *(f"{counts[name]:,}" for name in ("read", "accepted", "rejected", "merged")),
        )
        if counts["rejected"]:
            log.info("%s: rejected for %s", role, named_reasons(counts))
        for name, said in (("cleaned", "texts cleaned"), ("mended", "lines mended")):
            if counts[name]:
                done = ", ".join(f"{rule} {count:,}" for rule, count in counts[name].items())
                log.info("%s: %s: %s", role, said, done)
        for name, values in counts.get("attributes", {}).items():
            if values["unread"]:
                log.info("%s: %s: left out", role, _unread(name, values))
        if counts.get("short"):
            log.warning("%s: rows with fewer cells than the header: %s", role, f"{counts['short']:,}")
        if counts["ignored"]:
            log.info("%s: ignored fields: %s", role, listed(counts["ignored"]))
        if counts["emptied_contents"]:
            log.info("%s: contents that cleaning left nothing of: %s", role, f"{counts['emptied_contents']:,}")


def log_warnings(stats: Mapping[str, Any]) -> None:
    """What is known when all files are through: links that lead nowhere, and the warnings."""
    for role in ROLES:
        counts = stats.get(role, {})
        if lost := counts.get("links_nowhere"):
            log.info("%s: links that lead nowhere: %s of %s", role, f"{lost:,}", f"{counts['links']:,}")
        for warning in counts.get("warnings", ()):
            log.warning("%s", warning)


def named_reasons(counts: Mapping[str, Any], most: int = 5) -> str:
    """The commonest reasons for rejections, each with its first line."""
    return ", ".join(
        f"{reason} {count:,} ({_place(counts['examples'][reason][0])})"
        for reason, count in list(counts["reasons"].items())[:most]
    )


def _place(example: Mapping[str, Any]) -> str:
    """`line 1,234`, with its file where there are several."""
    return f"line {example['line']:,}" + (f" of {printable(example['file'])}" if "file" in example else "")


def refuse_empty(counts: Mapping[str, Any], name: str) -> None:
    """Raise EmptyCatalogue if the file `name` has no line."""
    if not counts["read"]:
        raise EmptyCatalogue(f"{printable(name)} holds no line with a product.", "Check that the right file was given.")


def refuse_products(counts: Mapping[str, Any], settings: ConvertSettings, mapping: FieldMapping | None) -> None:
    """Raise TooManyRejects or EmptyCatalogue if the products cannot be used; the limit shapes no bytes."""
    _refuse_many_rejects(counts, settings.max_reject_share, mapping)
    if mapping is not None and settings.uid_field is None and mapping.uid != ("uid",):
        _refuse_wrong_uid(counts, settings.max_reject_share, dotted(mapping.uid))


def _refuse_many_rejects(counts: Mapping[str, Any], limit: float, mapping: FieldMapping | None) -> None:
    """Raise TooManyRejects if more than this share of `trn` was rejected, EmptyCatalogue if nothing is left."""
    aside = counts.get("broken", ())
    if (share := sum(broken["share"] for broken in aside)) > limit:
        names = [printable(broken["file"]) for broken in aside]
        raise TooManyRejects(
            f"trn: {len(aside):,} of {counts['files']:,} files cannot be read ({share:.1%} of the files' bytes, the "
            f"limit is {limit:.1%}): {aside[0]['reason']}",
            f"Replace or remove {', '.join(names[:5])}{' and others' if len(names) > 5 else ''}, or raise "
            "max_reject_share if the other files are enough.",
        )
    read, rejected = counts["read"], counts["rejected"]
    fields, step = _fields_found(counts, mapping)
    if rejected > limit * read:
        reason = next(iter(counts["reasons"]))
        example = counts["examples"][reason][0]
        raise TooManyRejects(
            f"trn: {rejected:,} of {read:,} lines were rejected ({rejected / read:.1%}, the limit is {limit:.1%}): "
            f"{named_reasons(counts)}; {_place(example)} begins {example['excerpt'][:80]!r}.{fields}",
            f"Correct the file{step}, or raise max_reject_share if that is how it is.",
        )
    if not counts["accepted"]:
        raise EmptyCatalogue(
            f"trn: none of {read:,} lines is a product: {named_reasons(counts)}.{fields}",
            f"Check that the right file was given{step and ', and correct it'}{step}.",
        )


def _refuse_wrong_uid(counts: Mapping[str, Any], limit: float, uid: str) -> None:
    """Raise TooManyRejects if a guessed uid names several products of a file too often."""
    read, different = counts["read"], counts.get("merged_different") or 0
    if different > limit * read and "files" not in counts:  # the next day's may tell other things of it
        raise TooManyRejects(
            f"trn: {different:,} of {read:,} records have the {uid} of an earlier one and another text "
            f"({different / read:.1%}, the limit is {limit:.1%}): {uid}, which was guessed, is no uid.",
            f"Set uid_field to the column that names a product, to {uid} if it does, or to `{CONTENT_HASH}`.",
        )


def _fields_found(counts: Mapping[str, Any], mapping: FieldMapping | None) -> tuple[str, str]:
    """Which fields the rejected lines have, where one was missing or wrong; and which setting may help."""
    found = counts["refused_fields"]
    if not found:
        return "", ""
    paths = {"uid": mapping.uid, "title": mapping.title} if mapping else {field: (field,) for field in FIELDS[:2]}
    lacking = {field: path for field, path in paths.items() if path and found.get(path[0], 0) < max(found.values())}
    expected = " and ".join(
        dotted(path) + ("" if path == (field,) else f" ({field})") for field, path in lacking.items()
    )
    likely = {field: name for field in lacking for name in reversed(found) if meant(name) == field}
    empty = (field for field in paths if counts["reasons"].get(f"no {field}", 0) > MOST * counts["read"])
    step = ", ".join(f"{field}_field to {name}" for field, name in likely.items() if name != dotted(paths[field]))
    step = step or ", ".join(f"{field}_field to a column with values" for field in empty)
    said = f" These lines have {listed(found)}" + (f"; {expected} expected." if expected else ".")
    return said, f" (or set {step})" if step else ""
