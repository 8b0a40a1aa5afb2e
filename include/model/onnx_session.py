"""Opens a model's ONNX copy for a few texts at a time, on the CPU."""

from pathlib import Path
from typing import TYPE_CHECKING

from include.core.errors import BadModel

if TYPE_CHECKING:
    import onnxruntime


def open_session(file: Path, threads: int, rebuild: str) -> "onnxruntime.InferenceSession":
    """A session on an ONNX file.

    Args:
        file: The model.
        threads: Within one operator.
        rebuild: How the file is made anew, for the message.

    Raises:
        BadModel: The file is missing or damaged.
    """
    import onnxruntime

    if not file.is_file():
        raise BadModel(f"{file} is missing: no question is answered with this model.", rebuild)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Else the threads go on turning for a while after each run, and what follows, the search, waits for a processor.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's errors have no common base
        raise BadModel(f"{file} cannot be loaded ({type(error).__name__}: {error}).", rebuild) from error
