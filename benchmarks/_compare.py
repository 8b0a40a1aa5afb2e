"""Runs a peer and Vitrine on the same work in turn and prints medians and ratios.

With `--json`, one line a figure: {"name", "value", "unit", "target", "ok"}. The exit status is 0 whatever the figures
say.
"""

import argparse
import json
import os
import platform
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

Measure = Callable[[], Mapping[str, float]]


def arguments(description: str, kinds: Mapping[str, Sequence[str]] | None = None, **numbers: int) -> argparse.Namespace:
    """Command line of a benchmark: `--json`, `--rounds`, one of each of `kinds`, one number for each of `numbers`."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--json", action="store_true", help="one JSON line a figure")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each system, taken in turn")
    for name, default in numbers.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    for name, choices in (kinds or {}).items():
        parser.add_argument(f"--{name}", choices=choices)
    return parser.parse_args()


def alternate(systems: Mapping[str, Measure], rounds: int) -> dict[str, dict[str, float]]:
    """Each system's medians over `rounds` measurements, the systems taking turns."""
    seen: dict[str, list[Mapping[str, float]]] = {name: [] for name in systems}
    for _ in range(rounds):
        for name, measure in systems.items():
            seen[name].append(measure())
    return {
        name: {figure: statistics.median(each[figure] for each in found) for figure in found[0]}
        for name, found in seen.items()
    }


def table(medians: Mapping[str, Mapping[str, float]], title: str) -> None:
    """Print the medians, one row a system."""
    print(f"{title}\n{machine()}")
    figures = list(next(iter(medians.values())))
    print(f"{'':<34}" + "".join(f"{figure:>20}" for figure in figures))
    for name, found in medians.items():
        print(f"{name:<34}" + "".join(f"{found[figure]:>20,.3f}" for figure in figures))


def figure(name: str, value: float, unit: str, target: float | None, *, least: bool, as_json: bool) -> None:
    """Report one figure and whether it meets its target (`least`: at least, else at most)."""
    ok = None if target is None else (value >= target if least else value <= target)
    if as_json:
        print(json.dumps({"name": name, "value": round(value, 4), "unit": unit, "target": target, "ok": ok}))
    else:
        goal = (
            ""
            if target is None
            else f" (target {'at least' if least else 'at most'} {target:g}: {'met' if ok else 'missed'})"
        )
        print(f"{name}: {value:.3g} {unit}{goal}")


def machine() -> str:
    """The processor and how many cores this process may use."""
    info = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    model = next((line.split(":")[1].strip() for line in info.splitlines() if line.startswith("model name")), "")
    flags = next((line for line in info.splitlines() if line.startswith("flags")), "")
    extra = [name for name in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if f" {name}" in flags]
    return f"{model or platform.processor()}, {len(os.sched_getaffinity(0))} cores, {' '.join(extra)}"
