"""Vectors that are kept by model and text: found again, never another model's, never half of them."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from include.core import kinds
from include.model import vector_cache
from include.model.vector_cache import VectorCache
from tests.faults.killed import kill_at_point

DIM = 8
TEXTS = [f"text {number}" for number in range(50)]
SCRIPT = """
import os
from pathlib import Path
import numpy as np
from include.model import vector_cache, vectors

vector_cache.SEGMENT_TEXTS = 20
replace, calls = os.replace, []

def stopping(*paths):
    calls.append(paths)
    if len(calls) == 2:
        reach("second segment")
    replace(*paths)

vectors.os.replace = stopping
made = np.load(sys.argv[2])
cache = vector_cache.VectorCache(Path(sys.argv[1]), "a", 96, made.shape[1])
cache.vectors([f"text {number}" for number in range(len(made))], lambda texts: made)
"""


def of_texts(texts: list[str]) -> np.ndarray:
    """Some unit vector of each text."""
    drawn = [np.random.default_rng(list(text.encode())).normal(size=DIM) for text in texts]
    return np.array([each / np.linalg.norm(each) for each in drawn], np.float32).reshape(len(texts), DIM)


def cache(root: Path, model: str = "a", max_tokens: int = 96, dim: int = DIM) -> VectorCache:
    return VectorCache(root, model, max_tokens, dim)


def counted() -> tuple[list[str], Callable[[list[str]], np.ndarray]]:
    asked: list[str] = []

    def encode(texts: list[str]) -> np.ndarray:
        asked.extend(texts)
        return of_texts(texts)

    return asked, encode


def segments(root: Path) -> list[Path]:
    return sorted((root / "vectors").glob("*/*.parquet"))


def test_a_text_is_encoded_once_and_comes_back_bit_for_bit(root: Path) -> None:
    """Rows in another order than the texts would give each product another one's vector."""
    asked, encode = counted()
    first = cache(root).vectors([*TEXTS[:30], TEXTS[3]], encode)
    assert asked == TEXTS[:30]
    order = np.random.default_rng(1).permutation(50)
    found = cache(root).vectors([TEXTS[row] for row in order], encode)
    assert sorted(asked[30:]) == sorted(TEXTS[30:])
    np.testing.assert_array_equal(found, of_texts([TEXTS[row] for row in order]))
    np.testing.assert_array_equal(first[30], first[3])
    assert len(cache(root).vectors([], encode)) == 0


@pytest.mark.parametrize(("model", "max_tokens"), [("b", 96), ("a", 64)])
def test_another_model_or_length_never_hits(root: Path, model: str, max_tokens: int) -> None:
    """Vectors of two models among one another make nonsense of every cosine."""
    cache(root).vectors(TEXTS, of_texts)
    asked, encode = counted()
    cache(root, model, max_tokens).vectors(TEXTS, encode)
    assert asked == TEXTS


def test_another_way_to_make_vectors_never_hits(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After an upgrade that pools otherwise, the old vectors lie in another space."""
    cache(root).vectors(TEXTS, of_texts)
    monkeypatch.setattr(kinds, "EMBEDDING", replace(kinds.EMBEDDING, format=kinds.EMBEDDING.format + 1))
    asked, encode = counted()
    cache(root).vectors(TEXTS, encode)
    assert asked == TEXTS


@pytest.mark.parametrize("spot", [0.3, 0.9, 1.0])
def test_a_damaged_segment_is_dropped_and_its_texts_are_encoded_again(root: Path, spot: float) -> None:
    """A flipped bit in a vector must not decide what goes live."""
    cache(root).vectors(TEXTS[:25], of_texts)
    [segment] = segments(root)
    content = bytearray(segment.read_bytes())
    content[min(int(spot * len(content)), len(content) - 1)] ^= 1
    segment.write_bytes(content[: None if spot < 1 else -9])
    asked, encode = counted()
    np.testing.assert_array_equal(cache(root).vectors(TEXTS, encode), of_texts(TEXTS))
    assert len(asked) in (25, 50)
    asked.clear()
    cache(root).vectors(TEXTS, encode)
    assert asked == []
    assert not segment.exists() or len(segments(root)) == 2


def test_a_process_that_is_killed_leaves_whole_segments(root: Path, tmp_path: Path) -> None:
    """Half a segment under its name would be read as vectors of other texts."""
    np.save(tmp_path / "made.npy", of_texts(TEXTS))
    assert kill_at_point(SCRIPT, root, tmp_path / "made.npy") == "second segment"
    [whole] = segments(root)
    asked, encode = counted()
    np.testing.assert_array_equal(cache(root).vectors(TEXTS, encode), of_texts(TEXTS))
    assert len(asked) == 30
    assert whole.exists()


def test_what_was_used_longest_ago_goes_first(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache without a bound fills the disk, and a full disk ends every run."""
    for number, model in enumerate("abc"):
        cache(root, model).vectors(TEXTS, of_texts)
        for segment in cache(root, model).directory.iterdir():
            os.utime(segment, (number, number))
    cache(root, "a").vectors(TEXTS, of_texts)
    size = segments(root)[0].stat().st_size
    monkeypatch.setattr(vector_cache, "MOST_BYTES", 3 * size)
    cache(root, "d").vectors(TEXTS, of_texts)
    left = {segment.parent for segment in segments(root)}
    assert left == {cache(root, model).directory for model in "acd"}, "b was used before c, and a again"


def test_broken_vectors_are_not_kept_and_a_full_disk_is_no_failure(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """NaN from the cache would outlive the model's repair; a cache must never end a run."""
    cache(root).vectors(TEXTS, lambda texts: np.full((len(texts), DIM), np.nan, np.float32))
    assert segments(root) == []

    def full(*_: object) -> None:
        raise OSError(28, "No space left")

    monkeypatch.setattr(vector_cache, "write_whole", full)
    np.testing.assert_array_equal(cache(root).vectors(TEXTS, of_texts), of_texts(TEXTS))
    assert segments(root) == []
