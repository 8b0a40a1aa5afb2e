"""Vitrine's logic: plain Python, one module per stage, importable without Airflow; `from include import Vitrine`."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from include.notebook.vitrine import Vitrine

__all__ = ["Vitrine"]


def __getattr__(name: str) -> Any:
    """`Vitrine`, when it is first asked for: whoever imports a room must not load the others."""
    if name != "Vitrine":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from include.notebook.vitrine import Vitrine

    return Vitrine
