"""What a file is that is not read, how a message calls it, and its next step."""

import shlex
from dataclasses import dataclass
from pathlib import PurePosixPath

from include.core.display import printable
from include.formats.compression import Packing

# {file} in a command is the file's name, quoted for a shell.
_EXPORT = "Export the products as JSON lines, one object with uid, title and content a line, or as CSV"


@dataclass(frozen=True)
class FileKind:
    """What a file is.

    Attributes:
        name: As in "it is …".
        command: That makes JSON lines of it, with {file} for its name; empty where there is no such line.
    """

    name: str
    command: str

    def next_step(self, file: str, packing: Packing | None = None) -> str:
        """What to do about it; `file` is its name, or that of the packed file that it is in."""
        step = _EXPORT
        if self.command:
            name = printable(PurePosixPath(file).name)
            first = f"Unpack it (`{packing.command} {shlex.quote(name)}`), then make" if packing else "Make"
            name = shlex.quote(name.removesuffix(packing.ending) if packing else name)
            step = f"{first} JSON lines of it (`{self.command.replace('{file}', name)}`)"
        return f"{step}, then give that as `source` and trigger again."
