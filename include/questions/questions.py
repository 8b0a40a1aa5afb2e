"""Questions with what is right about them, as training, the exam and calibration share them.

`read_questions` leaves an artifact of kind `questions`. Each question is in one part, by a hash of its folded text, so
that nothing is tested, or calibrated, on what it was trained with, whatever else changes in the file.
"""

import hashlib
import json
import re
import unicodedata
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, get_args

from include.core import artifacts
from include.core.errors import DamagedArtifact

QUESTIONS_FILE = "questions.jsonl"
LONGEST_QUESTION = 2000  # characters
FEEDBACK = "feedback"  # the kind of a question that people's verdicts on answers make
# Of them in training, at least: what a few people have judged is not worth another training.
FEWEST_OF_FEEDBACK = 50

Part = Literal["train", "exam", "calibrate"]
SHARES: dict[Part, int] = {"train": 50, "exam": 30, "calibrate": 20}  # of a hundred questions

_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Question:
    """One accepted row.

    Attributes:
        id: Its name; made of the question and its products where the file gives none.
        question: As a person asks it.
        uids: The products that are right, all of this catalogue; may be empty where it is not answerable.
        evidence: Texts any of which answers it, in the products' own words; may be empty.
        answerable: Whether the catalogue answers it. One that is not, and names products, asks them for what their
            texts do not tell.
        lang: ISO 639-1; empty where it is not told.
        weight: What it counts in the exam, above 0; in training all count the same.
        kind: By which the exam is told apart, such as "model number"; may be empty.
        feedback: Whether people's verdicts alone tell it, by the setting `feedback`: then it does not decide.
    """

    id: str
    question: str
    uids: tuple[str, ...]
    evidence: tuple[str, ...] = ()
    answerable: bool = True
    lang: str = ""
    weight: float = 1.0
    kind: str = ""
    feedback: bool = False

    @property
    def part(self) -> Part:
        """What it is used for."""
        return part(self.question)

    def as_json(self) -> str:
        """Its line in `questions.jsonl`."""
        row = {**asdict(self), "part": self.part}
        if not self.feedback:
            del row["feedback"]
        return json.dumps(row, ensure_ascii=False)

    @classmethod
    def from_json(cls, line: str) -> "Question":
        """The question of such a line.

        Raises:
            ValueError, KeyError, TypeError: It is none.
        """
        row = json.loads(line)
        del row["part"]  # told for readers of the file
        return cls(**{**row, "uids": tuple(row["uids"]), "evidence": tuple(row["evidence"])})


@dataclass(frozen=True)
class Questions:
    """All accepted questions of an artifact, in the file's order.

    Attributes:
        fingerprint: The artifact's.
        all: The questions.
    """

    fingerprint: str
    all: tuple[Question, ...]

    def of(self, wanted: Part) -> list[Question]:
        """Those of one part."""
        return [each for each in self.all if each.part == wanted]

    @property
    def to_train_on(self) -> list[Question]:
        """The answerable ones of the part `train`; of people's verdicts none where they are few."""
        found = [each for each in self.of("train") if each.answerable]
        few = sum(each.feedback for each in found) < FEWEST_OF_FEEDBACK
        return [each for each in found if not (few and each.feedback)]


def folded(question: str) -> str:
    """A question without what no one hears: case, punctuation, width and blanks.

    >>> folded("Is it dishwasher-safe?") == folded("is it  DISHWASHER safe")
    True
    """
    text = unicodedata.normalize("NFKC", question).casefold()
    return " ".join(_WORD.findall(text)) or text.strip()


def part(question: str) -> Part:
    """The part that a question is in: a function of its folded text alone."""
    place = int(hashlib.sha256(folded(question).encode()).hexdigest()[:12], 16) % 100
    for name in get_args(Part):
        place -= SHARES[name]
        if place < 0:
            break
    found: Part = name
    return found


def read(path: Path, *, verify: bool = True) -> Questions:
    """Open an artifact of kind `questions`.

    Raises:
        DamagedArtifact: It is none, or does not match its manifest.
    """
    made = artifacts.read(path, verify=verify)
    file = path / QUESTIONS_FILE
    found = []
    try:
        for line in file.read_text(encoding="utf-8").split("\n"):
            if line:
                found.append(Question.from_json(line))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DamagedArtifact(f"{file} cannot be read ({error!r}).", artifacts.REBUILD) from error
    return Questions(made.fingerprint, tuple(found))
