"""Opens a model's ONNX copy for a few texts at a time, on the CPU."""

from pathlib import Path
from typing import TYPE_CHECKING

from include.core.errors import BadModel

if TYPE_CHECKING:
    import onnxruntime

# Threads of a model that has many texts to encode. For a single question one is faster: others turn idle between two
# runs, on the processors that the search and the next model want.
FOR_MANY = 2


def open_session(file: Path, threads: int, rebuild: str, *, once: bool = False) -> "onnxruntime.InferenceSession":
    """A session on an ONNX file.

    Args:
        file: The model.
        threads: Within one operator.
        rebuild: How the file is made anew, for the message.
        once: For a few texts: the weights are not laid out anew, which opens in half the time and runs slower.

    Raises:
        BadModel: The file is missing or damaged.
    """
    import onnxruntime

    if not file.is_file():
        raise BadModel(f"{file} is missing: no question is answered with this model.", rebuild)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    if once:
        options.add_session_config_entry("session.disable_prepacking", "1")
    try:
        return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's errors have no common base
        raise BadModel(f"{file} cannot be loaded ({type(error).__name__}: {error}).", rebuild) from error
