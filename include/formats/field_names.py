"""What catalogues call our fields elsewhere: for messages, and for the guess in `include.catalogue.guess`."""

import difflib
import unicodedata
from collections.abc import Iterable, Mapping

from include.formats.line_parser import FIELDS

NAMES = 8  # in one message

# Without case and signs, the likeliest first.
OTHER_NAMES = {
    "uid": """
        asin parentasin id itemid productid prodid articleid sku variantsku code productcode itemcode key ean gtin upc
        isbn number itemnumber productnumber articlenumber artikelnummer artnr referencia codigo
        商品コード 品番 商品番号 编号 url producturl link handle ref reference
    """,
    "title": """
        name productname producttitle itemname itemtitle displayname fullname heading headline label caption
        bezeichnung produktname titel artikelname nom titre libelle designation nombre titulo nome titolo
        商品名 製品名 名前 名称 标题 商品名称 상품명 название наименование
    """,
    "content": """
        description desc productdescription longdescription fulldescription itemdescription bodyhtml body text
        shortdescription summary overview features feature bulletpoints bulletpoint bullets keyfeatures
        highlights about abstract contents detail details beschreibung produktbeschreibung langtext kurzbeschreibung
        descripcion descrizione descricao 説明 商品説明 商品の説明 描述 商品描述 설명 описание
    """,
    "target_ind": "targets targetids labels related alsobuy alsobought alsoviewed similar links",
    "target_rel": "weights relevance scores targetweights",
}


def plain_name(name: str) -> str:
    """A name without case, accents and signs."""
    letters = unicodedata.normalize("NFKD", name)
    return "".join(filter(str.isalnum, letters)).casefold()


_MEANT = {plain_name(name): field for field, names in OTHER_NAMES.items() for name in names.split()}
_OURS = {field.replace("_", ""): field for field in FIELDS}


def meant(name: str) -> str:
    """Which of our fields somebody probably means by `name`; empty where nothing is like it."""
    plain = plain_name(name)
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
