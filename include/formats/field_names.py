"""What catalogues call our fields elsewhere, for messages: nothing is renamed by itself."""

import difflib
from collections.abc import Iterable, Mapping

from include.formats.line_parser import FIELDS

NAMES = 8  # in one message

# Without case and signs.
OTHER_NAMES = {
    "uid": "asin parentasin id itemid productid prodid sku code key ean gtin upc isbn number url handle ref reference",
    "title": "name productname producttitle itemname itemtitle displayname heading label caption",
    "content": "description desc text body details detail summary features about abstract longdescription "
    "productdescription shortdescription itemdescription fulldescription contents overview",
    "target_ind": "targets targetids labels related alsobuy alsobought alsoviewed similar links",
    "target_rel": "weights relevance scores targetweights",
}
_MEANT = {name: field for field, names in OTHER_NAMES.items() for name in names.split()}
_OURS = {field.replace("_", ""): field for field in FIELDS}


def meant(name: str) -> str:
    """Which of our fields somebody probably means by `name`; empty where nothing is like it."""
    plain = "".join(filter(str.isalnum, name)).casefold()
    if known := _OURS.get(plain) or _MEANT.get(plain):
        return known
    near = difflib.get_close_matches(plain, _OURS, 1, 0.75)
    return _OURS[near[0]] if near else ""


def renaming(names: Iterable[str], wanted: Iterable[str]) -> str:
    """`rename asin to uid, description to content`; empty where no name is like one of those wanted."""
    wanted = set(wanted)
    pairs = {field: name for name in reversed(list(names)) if (field := meant(name)) in wanted and name != field}
    return "rename " + ", ".join(f"{pairs[field]} to {field}" for field in FIELDS if field in pairs) if pairs else ""


def listed(fields: Mapping[str, int]) -> str:
    """`description (20), price (18)`, in the given order."""
    some = ", ".join(f"{name} ({lines:,})" for name, lines in list(fields.items())[:NAMES])
    return some if len(fields) <= NAMES else f"{some} and {len(fields) - NAMES} more"
