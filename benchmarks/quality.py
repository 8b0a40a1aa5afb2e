"""Quality on real products: retrieval before and after training, on what training never saw, over three seeds.

The data are `../shared/data/real-trn.zip` (or `--data`): training sees its `trn` alone, without the held-out products.
The seed draws the held-out products, the order of batches, and dropout. The table is the mean over the seeds.
"""

import argparse
import json
import logging
import statistics
import tempfile
from pathlib import Path
from typing import Any

from benchmarks._compare import figure, machine
from include.catalogue.convert import convert
from include.core.forms import parse
from include.core.pipeline_settings import PipelineSettings
from include.core.settings import ConvertSettings, SourceSettings
from include.core.train_settings import TrainSettings
from include.evaluation.evaluate import evaluate
from include.source.download import download
from include.training.train import train_in_subprocess

REAL = Path(__file__).resolve().parents[2] / "shared" / "data" / "real-trn.zip"
SHOWN = {"query_to_label": ("p@1", "r@10", "mrr@10"), "title_to_content": ("p@1", "r@10", "mrr@10")}
CHOSEN = {"related_share": 1.0, "epochs": 6}  # docs/experiments.md says why
Figures = dict[str, dict[str, dict[str, float]]]  # protocol, system, metric


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON line a figure")
    parser.add_argument("--data", type=Path, default=REAL)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--set", type=json.loads, default=CHOSEN, help="TrainSettings, as a JSON object")
    parser.add_argument("--root", type=Path, help="a data directory to keep; a temporary one where it is not given")
    options = parser.parse_args()
    logging.getLogger("bm25s").setLevel(logging.WARNING)
    if not options.data.exists():
        print(f"{options.data} is not there: nothing to measure. --data names another archive of this form.")
        return
    with tempfile.TemporaryDirectory() as folder:
        root = options.root or Path(folder)
        source = download(SourceSettings(source=str(options.data)), root=root)
        catalogue = convert(source.path, ConvertSettings(), root=root).path
        found = []
        for seed in options.seeds:
            found.append(measured(catalogue, {**options.set, "seed": seed}, root))
            if not options.json:
                show(f"seed {seed}", found[-1])
    mean = {
        protocol: {
            system: {name: statistics.mean(each[protocol][system][name] for each in found) for name in names}
            for system in found[0][protocol]
        }
        for protocol, names in SHOWN.items()
    }
    if not options.json:
        show(f"mean of {len(found)} seeds, {machine()}", mean)
    labels, contents = mean["query_to_label"], mean["title_to_content"]
    for metric, target in (("p@1", 0.9), ("r@10", 0.995)):
        best = max(labels["tuned"][metric], labels["hybrid"][metric])
        figure(f"tst to lbl, {metric}, best mode", best, "of 1", target, least=True, as_json=options.json)
    rival = max(contents["bm25"]["r@10"], contents["base"]["r@10"])
    best = max(contents["tuned"]["r@10"], contents["hybrid"]["r@10"])
    figure("title to content, r@10, best mode", best, "of 1", rival + 0.04, least=True, as_json=options.json)


def measured(catalogue: Path, given: dict[str, Any], root: Path) -> Figures:
    """Train and evaluate once."""
    train = parse(TrainSettings, given)
    model = train_in_subprocess(catalogue, train, root=root)
    evaluation = evaluate(catalogue, model.path, PipelineSettings(train=train), root=root)
    systems: Figures = {name: protocol["systems"] for name, protocol in evaluation.stats["protocols"].items()}
    return systems


def show(title: str, figures: Figures) -> None:
    """Print the figures as a table."""
    print(title)
    for protocol, names in SHOWN.items():
        print(f"  {protocol:<18}" + "".join(f"{name:>10}" for name in names))
        for system, values in figures[protocol].items():
            print(f"    {system:<16}" + "".join(f"{values[name]:>10.4f}" for name in names), flush=True)


if __name__ == "__main__":
    main()
