"""Whether a product is what a question does not want: "not gas", "gluten free", "that are not french door"."""

from include.answering.asks import Asks
from include.answering.claims import read_denials
from include.answering.wording import stems, telling


def unwanted(asked: Asks, title: str, content: str) -> bool:
    """Whether its title affirms what is excluded, or its text affirms, and nowhere denies, what it has to deny."""
    affirmed = set(stems(read_denials(title)[0]))
    excluded = [set(telling(each)) - {"one"} for each in asked.excluded]  # "except black ones"
    if any(each and each <= affirmed for each in excluded):
        return True
    denied = set(telling(" ".join(asked.denied)))
    if not denied:
        return False
    yes, no = read_denials(f"{title}. {content}")
    return denied <= set(stems(yes)) and not denied <= set(stems(no))


def denies(asked: Asks, title: str, content: str) -> bool:
    """Whether its text denies what it has to deny: "gluten-free"."""
    denied = set(telling(" ".join(asked.denied)))
    return bool(denied) and denied <= set(stems(read_denials(f"{title}. {content}")[1]))
