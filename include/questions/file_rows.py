"""The rows of a questions file, one after another: each is a question, or set aside with its reason.

The file is read as a catalogue is (`include.formats`): JSON lines, CSV, Parquet and the rest, packed or not.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from include.core.display import excerpt
from include.core.progress import Progress
from include.formats.archive import Archive
from include.questions.questions import Question
from include.questions.rows import Refused, parse

EXAMPLES = 3  # kept of each reason
MOST_NAMES = 20  # ignored fields and kinds that are told

Place = Mapping[str, Any]  # of a row: file, line, excerpt


@dataclass
class FileRows:
    """What becomes of a file's rows, while they are read.

    Attributes:
        keep: Takes each row that is set aside: its file, line, excerpt and the reason.
        labelled: Whether each has to say what is right, see `include.questions.rows.parse`.
        read: Rows so far, but for blank ones.
        blank: Rows with nothing in them.
        ignored: Fields that mean nothing here, by name.
        reasons: Of the rows that were set aside.
        examples: Of each reason some rows, with their line and beginning.
    """

    keep: Callable[[dict[str, Any]], object]
    labelled: bool = True
    read: int = 0
    blank: int = 0
    ignored: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    @property
    def rejected(self) -> int:
        """Rows that were set aside."""
        return self.reasons.total()

    def of(self, archive: Archive, progress: Progress) -> Iterator[tuple[Question, Place]]:
        """The questions of a file, and where each stands.

        Args:
            archive: The file.
            progress: Is told how many of its bytes are read.

        Raises:
            BadSource: The file is truncated or damaged.
        """
        lines: Counter[str] = Counter()  # of each file
        for part in archive.parts("trn", progress.update):
            if part.fault is not None:
                raise part.fault
            for line in part.lines.split(b"\n"):
                lines[part.file] += 1
                place = {"file": part.file, "line": lines[part.file], "excerpt": excerpt(line)}
                if (question := self._question(line, place)) is not None:
                    yield question, place

    def _question(self, line: bytes, place: Place) -> Question | None:
        try:
            row = parse(line, labelled=self.labelled)
        except Refused as refused:
            self.read += 1
            self.ignored.update(refused.others)
            self.set_aside(place, str(refused))
            return None
        if row is None:
            self.blank += 1
            return None
        self.read += 1
        self.ignored.update(row.others)
        return row.question

    def set_aside(self, place: Place, reason: str) -> None:
        """Count a row that cannot be used, and keep it with its reason."""
        self.reasons[reason] += 1
        if len(some := self.examples.setdefault(reason, [])) < EXAMPLES:
            some.append({"line": place["line"], "excerpt": place["excerpt"]})
        self.keep({**place, "reason": reason})

    def told(self) -> str:
        """Why none can be used, for a message."""
        told = ", ".join(f"{reason} ({count:,})" for reason, count in self.reasons.most_common()) or "there is none"
        names = ", ".join(name for name, _ in self.ignored.most_common(MOST_NAMES))
        return f"{told}; its fields {names} mean nothing here" if names else told
