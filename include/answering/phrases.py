"""What of a question is asked, and what of that no text tells, in the question's own words."""

import re
from collections.abc import Sequence

from include.answering.asks import Asks
from include.answering.wording import Wording, is_model, stems, telling

_TRAILING = re.compile(r"(?:(?:^|\s+)(?:the|a|an|is|are|was|were|of|does|do|in))+$", re.IGNORECASE)


def as_written(text: str, missing: Sequence[str]) -> str:
    """The question's words that have these stems."""
    wanted = set(missing)
    return " ".join(word for word in re.findall(r"[\w'-]+", text) if wanted & set(stems(word)))


def phrase(asked: Asks, missing: Sequence[str]) -> str:
    """What is asked of the product, as it is written, each word once; the question where no word asks."""
    kept = asked.phrase.split()
    kept += [word for word in as_written(asked.text, missing).split() if word.lower() not in map(str.lower, kept)]
    return " ".join(kept) or asked.text


def untold(asked: Asks, missing: Sequence[str], title: Wording) -> str:
    """What a product's text does not tell: runs of the question's words, such as "how heavy", without its name."""
    asking = {word.lower() for word in phrase(asked, missing).split()} if asked.phrase or missing else set()
    runs: list[list[str]] = []
    between: list[str] | None = None  # words of no meaning since the last that asks; None after a name
    for word in re.findall(r"[\w'-]+", asked.text):
        meaning = telling(word)
        if word.lower() in asking and not any(title.has(each) or is_model(each) for each in meaning):
            if between is None:
                runs.append([])
            runs[-1] += [*(between or []), word]
            between = []
        elif meaning:
            between = None
        elif between is not None:
            between.append(word)
    told = [_TRAILING.sub("", " ".join(run)) for run in runs if telling(" ".join(run)) or asked.phrase]
    return "”, “".join(filter(None, told))
