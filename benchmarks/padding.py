"""Padding of training batches, and whether batches of like length harm scores.

    python benchmarks/padding.py --data FOLDER [--checkpoint FOLDER] [--seeds 5] [--model NAME]

``--data`` holds the folders sst2 and imdb. Orders of the same examples are compared: random
batches, each padded to its longest example; windows of a quarter of an epoch, sorted by length,
with lengths rounded up (the order of version 0.1); and the planned order. The first table has the
mean fraction of padding over five samples of each size, and the chance that two examples of a
batch are together again in the next epoch. The second has the accuracy on the test split after
training with each of ``--orders``; seeds, examples and the head's start are the same in all. The
difference is that of the last and the first order, p is of a paired t test. Prints tables in
Markdown.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from xferlab.config.compose import compose_config, publish
from xferlab.config.recipe import read
from xferlab.data.batching import Batch, BatchPlan, row_lengths
from xferlab.data.readers.table import read_table
from xferlab.data.sampling import permutation
from xferlab.discovery import load_plugins

SIZES = (64, 96, 128, 256, 512, 1024, 2048, 6920)
SAMPLES = 5


@dataclass(frozen=True, eq=False)
class RandomBatches(BatchPlan):
    """Batches of random examples, each as long as its longest."""

    def epoch(self, epoch: int) -> list[Batch]:
        """Return the batches of an epoch."""
        order = permutation(len(self.lengths), self.seed, epoch, 0)
        parts = [order[i : i + self.batch_size] for i in range(0, len(order), self.batch_size)]
        return [Batch(p, int(self.lengths[p].max())) for p in parts]


@dataclass(frozen=True, eq=False)
class QuarterWindows(BatchPlan):
    """The order until version 0.2: sorted windows of at most a quarter of an epoch."""

    def epoch(self, epoch: int) -> list[Batch]:
        """Return the batches of an epoch."""
        size = self.batch_size
        full = len(self.lengths) // size
        order = permutation(len(self.lengths), self.seed, epoch, 0)
        rest = order[full * size :]
        order = order[: full * size]
        windows = np.arange(len(order)) // (size * min(50, max(1, full // 4)))
        order = order[np.lexsort((self.lengths[order], windows))]
        batches = order.reshape(full, size)[permutation(full, self.seed, epoch, 1)]
        first = int(self.lengths[batches].max(axis=1).argmax())
        batches = np.concatenate([batches[first : first + 1], np.delete(batches, first, 0)])
        parts = [*batches, rest] if len(rest) else list(batches)
        longest = int(self.lengths.max())
        return [Batch(p, rounded_up(int(self.lengths[p].max()), longest)) for p in parts]


ORDERS = {"random": RandomBatches, "quarter windows": QuarterWindows, "planned": BatchPlan}


def rounded_up(length: int, longest: int) -> int:
    """Return a length rounded up to a multiple of 4 up to 32, of 8 up to 64, and so on."""
    step = 4
    while step * 8 < length:
        step *= 2
    return min(-(-length // step) * step, longest)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--checkpoint", default="bundled:bert")
    parser.add_argument("--model", default="encoder", help="encoder or bag_of_embeddings")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rows", default="512,1024", help="sizes of the second table")
    parser.add_argument("--test-rows", type=int, default=800)
    parser.add_argument("--sets", default="sst2,imdb")
    parser.add_argument("--orders", default="quarter windows,planned")
    parser.add_argument("words", nargs="*", help="more overrides for every run")
    options = parser.parse_args()
    load_plugins(Path.cwd())
    publish(Path.cwd())
    print_padding(options.data, options.checkpoint)
    print_scores(options)


def print_padding(data: Path, checkpoint: str) -> None:
    """Print the fractions of padding for growing samples of SST-2."""
    every = token_counts(data / "sst2" / "train.csv", checkpoint)
    columns = " | ".join(f"{name}, padding | {name}, together again" for name in ORDERS)
    print(f"| batch | examples | {columns} |\n|{'---|' * (2 + 2 * len(ORDERS))}")
    for batch_size in (16, 32):
        for size in SIZES:
            cells = []
            for order in ORDERS.values():
                plans = [
                    order(every[permutation(len(every), sample)[:size]], batch_size, sample)
                    for sample in range(SAMPLES)
                ]
                cells.append(f"{np.mean([padding(plan) for plan in plans]):.1%}")
                cells.append(f"{np.mean([together_again(plan) for plan in plans]):.0%}")
            print(f"| {batch_size} | {size:,} | {' | '.join(cells)} |", flush=True)


def token_counts(path: Path, checkpoint: str) -> np.ndarray:
    """Return the number of tokens of each text of a file."""
    from xferlab.data.tokenizer import load_tokenizer
    from xferlab.models.checkpoint import resolve

    tokenizer = load_tokenizer(resolve(checkpoint, weights=False).folder)
    texts = read_table(str(path), "data.train").columns["text"]
    return row_lengths(tokenizer.encode(texts, None, 128))


def padding(plan: BatchPlan) -> float:
    """Return the fraction of the first epoch's tokens that is padding."""
    cells = sum(len(batch.rows) * batch.length for batch in plan.epoch(0))
    return 1 - float(plan.lengths.sum()) / cells


def together_again(plan: BatchPlan) -> float:
    """Return the fraction of pairs in a batch that share one in the next epoch too."""
    batch_of = np.zeros(len(plan.lengths), "int64")
    for number, batch in enumerate(plan.epoch(1)):
        batch_of[batch.rows] = number
    again = 0
    pairs = 0
    for batch in plan.epoch(0):
        counts = np.unique(batch_of[batch.rows], return_counts=True)[1]
        again += int((counts * (counts - 1)).sum())
        pairs += len(batch.rows) * (len(batch.rows) - 1)
    return again / pairs


def print_scores(options: argparse.Namespace) -> None:
    """Train every cell with every order and print means, standard errors and p values."""
    from scipy.stats import ttest_rel

    orders = options.orders.split(",")
    print(f"\n| set | examples | {' | '.join(orders)} | difference | p |")
    print(f"|{'---|' * (4 + len(orders))}")
    for name in options.sets.split(","):
        for rows in map(int, options.rows.split(",")):
            scores = np.array(
                [
                    [trained_score(name, rows, seed, order, options) for order in orders]
                    for seed in range(options.seeds)
                ]
            )
            first = scores[:, 0]
            last = scores[:, -1]
            cells = [mean_and_error(scores[:, i]) for i in range(len(orders))]
            cells += [mean_and_error(last - first), f"{ttest_rel(last, first).pvalue:.2f}"]
            print(f"| {name} | {rows:,} | {' | '.join(cells)} |", flush=True)


def mean_and_error(values: np.ndarray) -> str:
    """Return the mean and its standard error."""
    return f"{values.mean():.4f} ± {values.std(ddof=1) / len(values) ** 0.5:.4f}"


def trained_score(
    name: str, rows: int, seed: int, order: str, options: argparse.Namespace
) -> float:
    """Train once and return the accuracy on the test split."""
    import keras

    from xferlab.experiment.prepare import prepare
    from xferlab.training.assemble import assemble
    from xferlab.training.loop import fit

    keras.backend.clear_session()
    files = [f"data.{s}={options.data}/{name}/{s}.csv" for s in ("train", "validation", "test")]
    limit = f"data.limit={{train: {rows}, validation: 10, test: {options.test_rows}}}"
    model = [f"model={options.model}", f"model.checkpoint={options.checkpoint}", "metric=accuracy"]
    overrides = ["data=files", *files, limit, *model, f"seed={seed}", *options.words]
    recipe, data = prepare(read(compose_config(overrides)))
    experiment = assemble(recipe, data)
    plan = experiment.batches
    batches = ORDERS[order](plan.lengths, plan.batch_size, plan.seed)
    fit(dataclasses.replace(experiment, batches=batches), [])
    score = experiment.evaluate("test")["accuracy"]
    print(f"{name} {rows} seed {seed} {order}: {score:.4f}", file=sys.stderr, flush=True)
    return score


if __name__ == "__main__":
    main()
