"""Write constraints.txt anew: what pip resolves of requirements*.txt in an empty environment of the running Python.

Present pins stay where they fit together; GIVEN_UPGRADE=1 takes the newest of everything. `make lock` runs this on the
oldest Python that README.md promises: a newer one takes versions that an older one refuses.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import tomllib
import venv
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
CONSTRAINTS = REPOSITORY / "constraints.txt"
IN_THE_WAY = re.compile(r"^ +(?:The user requested \(constraint\) )?([\w.-]+)(?:==| \S+ depends on )", re.MULTILINE)


def canonical(name: str) -> str:
    """A package's name in the one spelling that all of its spellings stand for."""
    return re.sub(r"[-_.]+", "-", name).lower()


def resolve(folder: Path, pins: list[str]) -> list[str]:
    """What pip would install into the empty environment in `folder`, as `name==version`, with `pins` as constraints."""
    (folder / "pins.txt").write_text("\n".join(pins), encoding="utf-8")
    options = ["--dry-run", "--ignore-installed", "--report", str(folder / "report.json")]
    wanted = ["-r", "requirements.txt", "-r", "requirements-dev.txt", "-c", str(folder / "pins.txt")]
    command = [folder / "bin" / "python", "-m", "pip", "install", *options, *wanted]
    done = subprocess.run(
        command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode == 0:
        report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
        found = [(each["metadata"]["name"], each["metadata"]["version"]) for each in report["install"]]
        return [f"{name}=={version.partition('+')[0]}" for name, version in found]  # 2.13.0+cpu: the wheel for here
    moved = {canonical(name) for name in IN_THE_WAY.findall(done.stdout)}
    kept = [pin for pin in pins if canonical(pin.partition("==")[0]) not in moved]
    if len(kept) == len(pins):
        sys.exit(done.stdout)
    print("No longer fit, resolved anew:", *sorted(moved))
    return resolve(folder, kept)


def main() -> None:
    """Replace the pins in constraints.txt; its head of comments stays."""
    oldest = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]["requires-python"]
    if not oldest.startswith(f">={'.'.join(map(str, sys.version_info[:3]))},"):
        sys.exit(f"The oldest of {oldest} is needed, this is {sys.version.split()[0]}: make lock OLDEST=…")
    lines = CONSTRAINTS.read_text(encoding="utf-8").splitlines()
    head = [line for line in lines if line.startswith("#")]
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        upgrade = [Path(folder) / "bin" / "python", "-m", "pip", "install", "--quiet", "--upgrade", "pip>=25"]
        subprocess.run(upgrade, check=True)
        pins = resolve(Path(folder), [] if os.environ.get("GIVEN_UPGRADE") == "1" else lines[len(head) :])
    pins.sort(key=lambda pin: canonical(pin.partition("==")[0]) + "=")
    CONSTRAINTS.write_text("\n".join([*head, *pins]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
