"""The word pieces of a whole catalogue, cut once: an artifact that training and embedding share.

For each text column one flat file of ids and one of offsets, which are mapped into memory: reading a batch
touches its pages and no others, and several training processes share them. Ids are kept without CLS and SEP,
so that a title and a content can be joined: `"title. content"` is cut at the full stop by BERT's own rules,
so its word pieces are those of its parts (tested; for a tokenizer with other rules `joins` is False).
"""

import hashlib
import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from include.catalogue.identity import apart_from_attributes
from include.catalogue.schema import LABELS_FILE, PRODUCTS_FILE, read_rows
from include.core import artifacts, kinds
from include.core.arrays import Ids
from include.core.artifacts import Artifact, Workspace
from include.core.progress import Progress, Sink
from include.core.space import require
from include.model.directory import encodable

if TYPE_CHECKING:
    from tokenizers import Tokenizer

log = logging.getLogger(__name__)

COLUMNS = ((PRODUCTS_FILE, "title"), (PRODUCTS_FILE, "content"), (LABELS_FILE, "title"))
AT_ONCE = 4096  # texts: bounds the memory of tokenizers' own objects
SPECIAL = 2  # CLS and SEP


def tokenize(
    catalogue: Path, tokenizer: "Tokenizer", max_tokens: int, *, root: Path, sink: Sink | None = None
) -> Artifact:
    """Cut every title and content of a catalogue into word pieces, on all cores (tokenizers' own threads).

    Args:
        catalogue: Artifact of kind `catalogue`.
        tokenizer: Of the model.
        max_tokens: Longest text that the model sees, CLS and SEP included; longer ones are cut.
        root: The data directory.
        sink: Receives progress, in texts.

    Returns:
        Artifact of kind `tokens`, see `CatalogueTokens`.
    """

    def write(space: Workspace) -> dict[str, Any]:
        width = np.uint16 if tokenizer.get_vocab_size() <= 2**16 else np.uint32
        files = [catalogue / name for name in dict.fromkeys(name for name, _ in COLUMNS) if (catalogue / name).exists()]
        require(
            space.path, sum(_bytes(file, max_tokens, width) for file in files), "Cutting the texts into word pieces"
        )
        total = sum(pq.read_metadata(file).num_rows * len(_names(file)) for file in files)
        counts: dict[str, int] = {}
        with Progress("tokenize", total, unit="texts", sink=sink) as progress:
            for file in files:
                counts |= _write(file, space.path, tokenizer, max_tokens - SPECIAL, width, progress)
        return {"dtype": np.dtype(width).name, "texts": total, "tokens": sum(counts.values()), "columns": counts}

    return artifacts.build(root, kinds.TOKENS, write, **_identity(catalogue, tokenizer, max_tokens))


def find(catalogue: Path, tokenizer: "Tokenizer", max_tokens: int, *, root: Path) -> Path | None:
    """What `tokenize` made earlier with these arguments, verified; None if it has not."""
    identity = _identity(catalogue, tokenizer, max_tokens)
    path = artifacts.locate(root, kinds.TOKENS, artifacts.fingerprint(kinds.TOKENS, **identity))
    return artifacts.read(path).path if path.exists() else None


def joins(tokenizer: "Tokenizer") -> bool:
    """Whether a text's word pieces are those of its parts where it is parted at a full stop and a space."""
    return type(tokenizer.pre_tokenizer).__name__ == "BertPreTokenizer"


@dataclass(frozen=True)
class Column:
    """The word pieces of one text column: row i has `ids[offsets[i]:offsets[i + 1]]`, none for an empty text."""

    ids: Ids
    offsets: npt.NDArray[np.int64]

    def __getitem__(self, row: int) -> Ids:
        return self.ids[self.offsets[row] : self.offsets[row + 1]]


class CatalogueTokens:
    """An opened artifact of kind `tokens`.

    Attributes:
        columns: By (file, column) of the catalogue, see `Column`.
        max_tokens: Longest text, CLS and SEP included.
    """

    def __init__(self, path: Path, tokenizer: "Tokenizer") -> None:
        made = artifacts.read(path, verify=False)
        self.max_tokens = int(made.settings["max_tokens"])
        self.columns: dict[tuple[str, str], Column] = {}
        for file, name in COLUMNS:
            stem = _stem(file, name)
            if stem in made.stats["columns"]:
                ids = _mapped(path / f"{stem}.ids", made.stats["dtype"])
                self.columns[file, name] = Column(ids, _mapped(path / f"{stem}.offsets", "int64"))
        around = tokenizer.encode("")  # CLS and SEP alone
        self._cls, self._sep = (np.array([number], np.int32) for number in around.ids)
        self._stop = np.array(tokenizer.encode(".", add_special_tokens=False).ids, np.int32)

    def add(self, where: tuple[str, str], texts: Sequence[str], tokenizer: "Tokenizer") -> None:
        """Cut further texts, in memory: a column of their own."""
        pieces = [ids for some in _cut(texts, tokenizer, self.max_tokens - SPECIAL) for ids in some]
        offsets = np.cumsum([0, *map(len, pieces)])
        self.columns[where] = Column(np.array([number for each in pieces for number in each], np.int32), offsets)

    def whole(self, pieces: Ids) -> Ids:
        """A text as the model takes it: int32, with CLS and SEP."""
        return np.concatenate([self._cls, pieces, self._sep], dtype=np.int32)

    def product(self, row: int) -> Ids:
        """What is embedded for a product, `catalogue.product_text`: title, full stop, content; cut."""
        title = self.columns[PRODUCTS_FILE, "title"][row]
        content = self.columns[PRODUCTS_FILE, "content"][row]
        if not len(content):
            return self.whole(title)
        joined = np.concatenate([title, self._stop, content], dtype=np.int32)
        return self.whole(joined[: self.max_tokens - SPECIAL])


def _write(
    file: Path,
    target: Path,
    tokenizer: "Tokenizer",
    longest: int,
    width: type[np.integer[Any]],
    progress: Progress,
) -> dict[str, int]:
    """Write the columns of one file; returns the number of word pieces in each."""
    names = _names(file)
    filled = dict.fromkeys(names, 0)
    with ExitStack() as stack:
        out = {
            (name, kind): stack.enter_context((target / f"{_stem(file.name, name)}.{kind}").open("wb"))
            for name in names
            for kind in ("ids", "offsets")
        }
        for name in names:
            out[name, "offsets"].write(np.zeros(1, np.int64).tobytes())
        for table in read_rows(file, names):
            for name in names:
                for ids in _cut(table[name].to_pylist(), tokenizer, longest):
                    lengths = np.fromiter(map(len, ids), np.int64, len(ids))
                    flat = np.fromiter((piece for text in ids for piece in text), width, int(lengths.sum()))
                    out[name, "ids"].write(flat.tobytes())
                    out[name, "offsets"].write((filled[name] + np.cumsum(lengths)).tobytes())
                    filled[name] += len(flat)
                    progress.advance(len(ids))
    return {_stem(file.name, name): count for name, count in filled.items()}


def _cut(texts: Sequence[str], tokenizer: "Tokenizer", longest: int) -> Iterator[list[list[int]]]:
    for start in range(0, len(texts), AT_ONCE):
        encoded = tokenizer.encode_batch_fast(encodable(texts[start : start + AT_ONCE]), add_special_tokens=False)
        yield [each.ids[:longest] for each in encoded]


def _identity(catalogue: Path, tokenizer: "Tokenizer", max_tokens: int) -> dict[str, Any]:
    """What `artifacts.fingerprint` takes: not the model, since fine-tuning leaves the tokenizer as it is."""
    from tokenizers import Tokenizer

    plain = Tokenizer.from_str(tokenizer.to_str())
    plain.no_padding()
    plain.no_truncation()
    mark = hashlib.sha256(plain.to_str().encode()).hexdigest()
    return {
        "settings": {"max_tokens": max_tokens},
        "inputs": {"catalogue": apart_from_attributes(catalogue), "tokenizer": mark},
    }


def _bytes(file: Path, longest: int, width: type[np.integer[Any]]) -> float:
    """About what is written for a file: an offset a text; a word piece takes 3 bytes of text or more (seen: 4 to 5)."""
    metadata = pq.read_metadata(file)
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    columns = [group.column(number) for group in groups for number in range(group.num_columns)]
    texts = sum(each.total_uncompressed_size for each in columns if each.path_in_schema in _names(file))
    rows = metadata.num_rows * len(_names(file))
    return float(8 * rows + np.dtype(width).itemsize * min(texts / 3, rows * longest))


def _names(file: Path) -> list[str]:
    return [name for where, name in COLUMNS if where == file.name]


def _stem(file: str, column: str) -> str:
    return f"{Path(file).stem}-{column}"


def _mapped(file: Path, dtype: str) -> Any:
    """The file's numbers, mapped; an empty file cannot be."""
    return np.memmap(file, dtype, "r") if file.stat().st_size else np.empty(0, dtype)
