"""`make fuzz`: the property tests in rounds, each with examples of its own, until the time is up.

A round prints its seed; `VITRINE_FUZZ=1 python -m pytest -m hypothesis --hypothesis-seed=SEED` draws it again.
"""

import os
import re
import secrets
import subprocess
import sys
import time

# With statistics, since they count the examples. An hour for one test: a round draws many.
ROUND = [sys.executable, "-m", "pytest", "-q", "-m", "hypothesis", "--hypothesis-show-statistics", "--timeout=3600"]
ROUND += ["--show-capture=no"]  # thousands of examples log
STATISTICS = re.compile(r"^=+ Hypothesis Statistics =+$.*?(?=^=+ |\Z)", re.DOTALL | re.MULTILINE)
EXAMPLES = re.compile(r"(\d+) passing, ")


def fuzz(minutes: float, more: list[str]) -> int:
    """Draw for at least so many minutes; the last round is finished.

    Args:
        minutes: A round takes several of them.
        more: Arguments for pytest, such as paths.

    Returns:
        How many rounds failed.
    """
    began, number, total, failed = time.monotonic(), 0, 0, 0
    while not number or time.monotonic() - began < 60 * minutes:
        number += 1
        seed = secrets.randbelow(2**32)
        print(f"round {number}, seed {seed} …", flush=True)
        command = [*ROUND, f"--hypothesis-seed={seed}", *more]
        done = subprocess.run(command, env=os.environ | {"VITRINE_FUZZ": "1"}, stdout=subprocess.PIPE, check=False)
        told = done.stdout.decode("utf-8", "replace")
        examples = sum(map(int, EXAMPLES.findall(told)))
        total += examples
        failed += done.returncode != 0
        if done.returncode:
            print(STATISTICS.sub("", told))
        if done.returncode not in (0, 1):
            sys.exit(f"pytest has drawn nothing (status {done.returncode}): see above, and correct ARGS.")
        spent = (time.monotonic() - began) / 60
        result = f"FAILED, see above (seed {seed})" if done.returncode else "nothing found"
        print(f"round {number}: {examples:,} examples, {result}; {total:,} in {spent:.1f} minutes", flush=True)
    return failed


if __name__ == "__main__":
    if not re.fullmatch(r"\d+(\.\d+)?", "".join(sys.argv[1:2])):
        sys.exit("MINUTES has to be a number, as in MINUTES=60.")
    sys.exit(fuzz(float(sys.argv[1]), sys.argv[2:]) > 0)
