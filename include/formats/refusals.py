"""Why a record of another form than JSON lines cannot be used, where its reader sees it: a line says so."""

TOO_MANY_CELLS = "more cells than columns"
BARE_RETURN = "a carriage return inside a cell without quotation marks"
NOT_DECODED = "bytes that the file's encoding does not have"
NOT_QUOTED = "a quotation mark that is not closed"
REASONS = (TOO_MANY_CELLS, BARE_RETURN, NOT_DECODED, NOT_QUOTED)

_BEGINNINGS = tuple(f"{reason}: ".encode() for reason in REASONS)


def refusal(reason: str, record: str) -> bytes:
    """The line that stands for a record which is refused; the beginning of the record is an example in the report."""
    return f"{reason}: {' '.join(record[:1000].split())}".encode("utf-8", "replace")


def given_reason(line: bytes) -> str:
    """The reason that a line of `refusal` gives; empty for any other line."""
    return line.partition(b": ")[0].decode() if line.startswith(_BEGINNINGS) else ""
