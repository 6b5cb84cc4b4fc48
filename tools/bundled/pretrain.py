"""Pretrains the bundled BERT: ``python -m tools.bundled.pretrain`` writes ``xferlab/bundled/bert``.

Two objectives, neither of which sees a label. Masked words (Devlin et al. 2019: 15 % of the pieces,
of those 80 % masked, 10 % random, 10 % kept; the decoder shares the embeddings). And same review:
every review is cut in two, and among the second halves of 32 reviews of the same kind of thing the
pooled output has to find the one that continues the first half. BERT's next-sentence objective asks
that of one pair at a time; asking it of 32 at once (van den Oord et al. 2018, eq. 4) learns faster.
"""

import argparse
import math
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.bundled.hugging_face import dense_tensors, write_checkpoint
from tools.bundled.make import corpus
from tools.bundled.tokenizer import MAX_TOKENS, train_tokenizer, write_tokenizer
from tools.bundled.word_vectors import word_vectors
from xferlab.models.architectures import Architecture
from xferlab.models.architectures.bert import Bert

FOLDER = Path(__file__).parents[2] / "xferlab" / "bundled" / "bert"
LENGTHS = (16, 24, 32, 40, 48, 64)
FIGURES = ("masked_word_loss", "masked_word_accuracy", "same_review_loss", "same_review_accuracy")


@dataclass(frozen=True)
class Pretraining:
    """What the checkpoint in the box was pretrained with.

    Attributes:
        documents: Number of reviews in every part of the corpus; each is seen once.
        seed: Where the random numbers of corpus, masks and weights start.
        sample: Number of further reviews from which tokenizer and word vectors are made.
        group: Reviews of one kind of thing that stand in a step together.
        pieces: Most pieces that the tokenizer may learn.
        layers: Number of Transformer blocks.
        width: Width of the hidden states.
        heads: Attention heads per block.
        feed_forward: Width inside the feed-forward part.
        rare_words: How much readier rare pieces are masked; a piece's odds fall with its count to
            this power, 0 masks all alike.
        vector_scale: Standard deviation of the word vectors that are added to the first embeddings.
        lr: Highest learning rate, after the warm-up, in every part.
        temperature: What similarities are divided by in the same-review objective.
        same_review_weight: Weight of the same-review loss beside the masked-word loss.
        same_review_from: Share of the first part's steps before the same-review loss sets in.
    """

    documents: tuple[int, ...] = (102_400, 320_000)
    seed: int = 1
    sample: int = 20_000
    group: int = 32
    pieces: int = 4000
    layers: int = 3
    width: int = 128
    heads: int = 4
    feed_forward: int = 256
    rare_words: float = 0.4
    vector_scale: float = 0.04
    lr: tuple[float, ...] = (1.5e-3, 1.2e-3)
    temperature: float = 0.2
    same_review_weight: float = 0.5
    same_review_from: float = 0.2


def architecture_of(plan: Pretraining, vocabulary_size: int) -> Architecture:
    """Return the sizes of the encoder that a plan pretrains."""
    return Bert(
        vocabulary_size=vocabulary_size,
        hidden_size=plan.width,
        layers=plan.layers,
        heads=plan.heads,
        intermediate_size=plan.feed_forward,
        positions=MAX_TOKENS,
        segments=2,
        activation="gelu",
        epsilon=1e-12,
        hidden_dropout=0.0,  # every review is seen once, so there is nothing to overfit to
        attention_dropout=0.0,
        initializer_range=0.02,
    )


class Batches:
    """Steps of the corpus: the masked halves of reviews of one kind of thing and of like length."""

    def __init__(self, plan: Pretraining, part: int, tokenizer: Any, sample: list[str]) -> None:
        import numpy as np

        self._plan = plan
        self._part = part
        self._tokenizer = tokenizer
        seen = [piece for row in tokenizer.encode_batch(sample) for piece in row.ids]
        counts = np.bincount(seen, minlength=tokenizer.get_vocab_size())
        self._rank = (1.0 + counts) ** plan.rare_words  # small for what is masked readily
        self._random = np.random.default_rng(plan.seed + part)
        self.lr = plan.lr[part]
        self.steps = plan.documents[part] // plan.group
        self.first_same_review = 0 if part else int(plan.same_review_from * self.steps)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        shelf: list[list[Any]] = []
        pool = self._plan.group * 64  # reviews of one kind, sorted by length and cut into steps
        documents: list[list[str]] = []
        seed = self._plan.seed + self._part
        count = self._plan.documents[self._part]
        for document in corpus(seed, count, group=pool, part=self._part):
            documents.append(document)
            if len(documents) == pool:
                shelf.append(list(self._steps(documents)))
                documents = []
            if len(shelf) == 10:
                yield from self._mixed(shelf)
        if documents:
            shelf.append(list(self._steps(documents)))
        yield from self._mixed(shelf)

    def _mixed(self, shelf: list[list[Any]]) -> Iterator[dict[str, Any]]:
        steps = [step for kind in shelf for step in kind]
        for index in self._random.permutation(len(steps)):
            yield self._masked(steps[index])
        shelf.clear()

    def _steps(self, documents: list[list[str]]) -> Iterator[list[tuple[list[int], list[int]]]]:
        halves = self._halves(documents)
        halves.sort(key=lambda pair: max(len(pair[0]), len(pair[1])))
        for start in range(0, len(halves) - self._plan.group + 1, self._plan.group):
            yield halves[start : start + self._plan.group]

    def _halves(self, documents: list[list[str]]) -> list[tuple[list[int], list[int]]]:
        texts = []
        for document in documents:
            low = max(1, len(document) - 3)
            high = min(3, len(document) - 1)
            cut = int(self._random.integers(low, high + 1))
            texts += [" ".join(document[:cut]), " ".join(document[cut:])]
        ids = [encoding.ids for encoding in self._tokenizer.encode_batch(texts)]
        return list(zip(ids[::2], ids[1::2], strict=True))

    def _masked(self, pairs: list[tuple[list[int], list[int]]]) -> dict[str, Any]:
        import numpy as np

        rows = [first for first, _ in pairs] + [second for _, second in pairs]
        longest = max(map(len, rows))
        length = next((size for size in LENGTHS if size >= longest), LENGTHS[-1])
        tokens = np.zeros((len(rows), length), "int32")
        for row, ids in enumerate(rows):
            tokens[row, : min(len(ids), length)] = ids[:length]
        ordinary = tokens > 4  # the five special pieces come first in the vocabulary
        keys = self._random.exponential(size=tokens.shape) * self._rank[tokens]
        order = np.where(ordinary, keys, np.inf).argsort(axis=1)
        positions = order[:, : math.ceil(0.15 * length)]
        wanted = np.maximum(1, np.round(0.15 * ordinary.sum(axis=1, keepdims=True)))
        weights = (np.arange(positions.shape[1]) < wanted).astype("float32")
        targets = np.take_along_axis(tokens, positions, axis=1)
        draw = self._random.random(positions.shape)
        strangers = self._random.integers(5, self._tokenizer.get_vocab_size(), positions.shape)
        shown = np.where(draw < 0.8, self._tokenizer.token_to_id("[MASK]"), strangers)
        shown = np.where((draw < 0.9) & (weights > 0), shown, targets)
        masked = tokens.copy()
        np.put_along_axis(masked, positions, shown.astype("int32"), axis=1)
        places = {"positions": positions.astype("int32"), "targets": targets, "weights": weights}
        return {"token_ids": masked, "padding_mask": (tokens > 0).astype("int32"), **places}


class Objectives:
    """The backbone with what turns its outputs into the two losses."""

    def __init__(self, plan: Pretraining, backbone: Any) -> None:
        import keras

        self.backbone = backbone
        self._plan = plan
        start = keras.initializers.TruncatedNormal(stddev=0.02, seed=plan.seed)
        self.transform = keras.layers.Dense(plan.width, activation="gelu", kernel_initializer=start)
        self.norm = keras.layers.LayerNormalization(epsilon=1e-12)
        self.transform.build((None, plan.width))
        self.norm.build((None, plan.width))
        self.table = backbone.get_layer("token_embedding").embeddings
        self.bias = keras.Variable(keras.ops.zeros(self.table.shape[0]), name="decoder_bias")
        parts = (backbone, self.transform, self.norm)
        self.variables = [v for part in parts for v in part.trainable_variables] + [self.bias]

    def losses(self, batch: dict[str, Any]) -> tuple[Any, Any, Any, Any]:
        """Gives masked-word loss, its accuracy, same-review loss and its accuracy."""
        import tensorflow as tf

        tokens = batch["token_ids"]
        mask = batch["padding_mask"]
        inputs = {"token_ids": tokens, "padding_mask": mask, "segment_ids": tf.zeros_like(tokens)}
        outputs = self.backbone(inputs, training=True)
        hidden = tf.gather(outputs["sequence_output"], batch["positions"], batch_dims=1)
        hidden = self.norm(self.transform(hidden))
        table = tf.convert_to_tensor(self.table)
        logits = tf.einsum("bpd,vd->bpv", hidden, table) + tf.convert_to_tensor(self.bias)
        loss = tf.nn.sparse_softmax_cross_entropy_with_logits(batch["targets"], logits)
        total = tf.reduce_sum(batch["weights"])
        right = tf.cast(tf.argmax(logits, -1, output_type=tf.int32) == batch["targets"], tf.float32)
        words = tf.reduce_sum(loss * batch["weights"]) / total
        found = tf.reduce_sum(right * batch["weights"]) / total
        return words, found, *self._same_review(outputs["pooled_output"])

    def _same_review(self, pooled: Any) -> tuple[Any, Any]:
        import tensorflow as tf

        centred = pooled - tf.reduce_mean(
            pooled, axis=0
        )  # else all are alike at first, and stay so
        first, second = tf.split(tf.math.l2_normalize(centred, axis=-1), 2)
        scores = tf.matmul(first, second, transpose_b=True) / self._plan.temperature
        own = tf.range(tf.shape(scores)[0])
        losses = [
            tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(own, side))
            for side in (scores, tf.transpose(scores))
        ]
        right = tf.cast(tf.argmax(scores, -1, output_type=tf.int32) == own, tf.float32)
        return (losses[0] + losses[1]) / 2, tf.reduce_mean(right)

    def head_tensors(self) -> dict[str, Any]:
        """Gives the masked-word decoder's tensors by their Hugging Face names."""
        name = "cls.predictions.transform"
        return {
            "cls.predictions.bias": self.bias.numpy(),
            **dense_tensors(f"{name}.dense", self.transform),
            f"{name}.LayerNorm.weight": self.norm.gamma.numpy(),
            f"{name}.LayerNorm.bias": self.norm.beta.numpy(),
        }


def train(plan: Pretraining, objectives: Objectives, batches: Batches) -> dict[str, float]:
    """Trains the variables through all batches and gives the last hundred steps' means."""
    import keras
    import numpy as np
    import tensorflow as tf

    warm_up = max(1, batches.steps // 20)
    schedule = keras.optimizers.schedules.PolynomialDecay(
        batches.lr, max(1, batches.steps - warm_up), end_learning_rate=0.0
    )
    optimizer = keras.optimizers.AdamW(
        batches.lr, weight_decay=0.01, beta_2=0.98, global_clipnorm=1.0
    )
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    optimizer.build(objectives.variables)

    @tf.function(jit_compile=True, reduce_retracing=False)
    def step(batch: dict[str, Any], weight: Any) -> Any:
        with tf.GradientTape() as tape:
            words, found, pairs, matched = objectives.losses(batch)
            loss = words + weight * pairs
        values = [variable.value for variable in objectives.variables]
        optimizer.apply(tape.gradient(loss, values))
        return tf.stack([words, found, pairs, matched])

    started = time.monotonic()
    history = []
    for index, batch in enumerate(batches):
        warming = index < warm_up
        lr = batches.lr * (index + 1) / warm_up if warming else float(schedule(index - warm_up))
        optimizer.learning_rate.assign(lr)
        weight = plan.same_review_weight * (index >= batches.first_same_review)
        tensors = {name: tf.constant(array) for name, array in batch.items()}
        history.append(step(tensors, tf.constant(weight, tf.float32)).numpy())
        if index % 100 == 99:
            words, found, pairs, matched = np.mean(history[-100:], axis=0)
            spent = time.monotonic() - started
            left = spent / (index + 1) * (batches.steps - index - 1)
            line = f"step {index + 1}/{batches.steps}  "
            line += f"masked words {words:.3f} ({found:.1%} right)  "
            line += f"same review {pairs:.3f} ({matched:.1%})  {spent:.0f} s, {left:.0f} s to go\n"
            sys.stderr.write(line)
    means = map(float, np.mean(history[-100:], axis=0))
    return dict(zip(FIGURES, means, strict=True))


def pretrain(plan: Pretraining, folder: Path) -> dict[str, float]:
    """Writes the pretrained Hugging Face folder and gives the last losses and accuracies."""
    import keras

    keras.utils.set_random_seed(plan.seed)
    folder.mkdir(parents=True, exist_ok=True)
    texts = [" ".join(document) for document in corpus(plan.seed, plan.sample, group=32)]
    tokenizer = train_tokenizer(texts, plan.pieces)
    write_tokenizer(tokenizer, folder)
    architecture = architecture_of(plan, tokenizer.get_vocab_size())
    backbone = architecture.build()
    rows = [row.ids for row in tokenizer.encode_batch(texts)]
    table = backbone.get_layer("token_embedding").embeddings
    vectors = word_vectors(rows, table.shape[0], table.shape[1], plan.vector_scale)
    table.assign_add(vectors)
    objectives = Objectives(plan, backbone)
    for part in range(len(plan.documents)):
        result = train(plan, objectives, Batches(plan, part, tokenizer, texts))
    write_checkpoint(backbone, architecture, objectives.head_tensors(), folder)
    return result


def main() -> None:
    """Reads the command line and pretrains."""
    parser = argparse.ArgumentParser(description="Pretrains the BERT in the box.")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    sys.stdout.write(f"{pretrain(Pretraining(), parser.parse_args().folder)}\n")


if __name__ == "__main__":
    main()
