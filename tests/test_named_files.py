"""Settings that name a file or a directory: whatever is typed, the run's first seconds end in an error of ours."""

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from include.core.errors import BadModel, BadSettings
from include.evaluation.filter_pairs import read_filter_pairs
from include.model.base import check_base
from include.model.directory import load_tokenizer, model_dim, stored_max_tokens
from tests.source.typed import typed

LONG = st.sampled_from(
    ["x" * 300, "/" + "x" * 300, "~nobody-of-this-name/x", "./\0", "a/" * 240, "\ud800", "@" + "a" * 40]
)
CHECKS: dict[str, Callable[[str], object]] = {
    "filter_file": lambda name: read_filter_pairs(Path(name), {}),
    "base_model": check_base,
}


@pytest.mark.parametrize("setting", CHECKS)
@given(typed | LONG)
@example("x" * 300)
@example("~nobody-of-this-name")
@example("/\x1f")
@example("\0")
@example("~\0")
@example("\ud800")
def test_whatever_is_typed_as_a_file_is_refused_with_a_next_step(tmp_path: Path, setting: str, name: str) -> None:
    """Danger: a slip of the pen ends the run in an exception of pathlib."""
    with contextlib.chdir(tmp_path), pytest.raises((BadSettings, BadModel)) as refused:
        CHECKS[setting](name)
    assert refused.value.next_step
    assert refused.value.what.isprintable(), refused.value.what


@given(
    st.lists(
        st.sampled_from(
            [b"0", b"1", b"7", b" ", b"\t", b"\n", b"\r\n", b"-1", b"1.5", b"x", b"\xff", b"\0", b"9" * 20]
        ),
        max_size=8,
    ).map(b"".join)
)
def test_whatever_a_filter_file_holds_is_pairs_or_a_refusal(tmp_path: Path, content: bytes) -> None:
    """Danger: another program's file ends evaluation in an exception of numpy, hours after the start."""
    path = tmp_path / "filter.txt"
    path.write_bytes(content)
    try:
        pairs = read_filter_pairs(path, {"tst": {"read": 8}, "lbl": {"read": 8}})
    except BadSettings as refused:
        assert refused.next_step
        assert refused.what.isprintable()
    else:
        assert pairs.shape[1] == 2
        assert 0 <= pairs.min() <= pairs.max() < 8


VALUES: st.SearchStrategy[Any] = st.sampled_from(
    ["distilbert", "gelu", 0, -1, 32, 2.5, float("inf"), float("nan"), 2**70, "32", None, True, [], {}]
)
CONFIGS = st.dictionaries(
    st.sampled_from(
        ["dim", "model_type", "activation", "max_position_embeddings", "max_seq_length", "model_max_length"]
    ),
    VALUES,
)
CONTENTS: st.SearchStrategy[Any] = (
    (CONFIGS | VALUES).map(lambda value: json.dumps(value).encode())
    | st.binary(max_size=8)
    | st.sampled_from([b"", b"{", b"[" * 5000, b"\xff\xfe{\0}\0"])
)


@given(CONTENTS, CONTENTS, CONTENTS)
@example(b"[" * 5000, b"{}", b"{}")
@example(b'{"model_type": "distilbert", "activation": []}', b"{}", b"{}")
@example(b'{"dim": 32, "max_position_embeddings": 32}', b'{"max_seq_length": 0}', b"{}")
@example(b'{"dim": Infinity}', b"{}", b"{}")
def test_whatever_a_models_files_hold_is_read_or_refused(
    tmp_path: Path, config: bytes, sentences: bytes, tokenizer: bytes
) -> None:
    """Danger: a model directory of another program ends a stage in an exception that names no file."""
    for name, content in (
        ("config.json", config),
        ("sentence_bert_config.json", sentences),
        ("tokenizer.json", tokenizer),
    ):
        (tmp_path / name).write_bytes(content)
    reads: list[Callable[[], object]] = [
        lambda: check_base(str(tmp_path)),
        lambda: model_dim(tmp_path),
        lambda: stored_max_tokens(tmp_path),
        lambda: load_tokenizer(tmp_path, 16),
    ]
    for read in reads:
        try:
            found = read()
        except BadModel as refused:
            assert refused.next_step
            assert str(tmp_path) in refused.what
        else:
            assert not isinstance(found, int) or found > 0
