"""The server's log: one line an event, whatever a product or a question holds."""

import logging
from types import TracebackType
from typing import IO, TypeAlias

from include.core.redaction import addresses_hidden, escaped

Caught: TypeAlias = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


class Harmless(logging.Formatter):
    """Escapes what does not print, colours of a terminal and turns of direction among it; hides credentials."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """The line itself."""
        return escaped(addresses_hidden(super().formatMessage(record)))

    def formatException(self, caught: Caught) -> str:  # noqa: N802 - likewise
        """The frames, each on its line."""
        return "\n".join(map(escaped, addresses_hidden(super().formatException(caught)).splitlines()))


def log_to(stream: IO[str]) -> None:
    """All loggers of the process write there; what the answering code says of each question is left out."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(Harmless("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for name in ("include.answering", "httpx"):  # the alias of a server is asked for four times a second
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("mcp").setLevel(logging.ERROR)  # its warnings repeat what it was sent
