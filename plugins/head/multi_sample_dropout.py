"""The model's own head, trained under several dropout masks at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from xferlab import (
    Accepts,
    EncoderOutputs,
    LabelKind,
    Needs,
    OutputKind,
    Reads,
    TaskSpec,
    TrainingStep,
    register,
)


@register("head", "multi_sample_dropout")
@dataclass(frozen=True)
class MultiSampleDropout:
    """The model's own head, trained with the mean loss of several dropout masks.

    Inoue 2019: only what is above the encoder is computed several times, with one set of weights.
    Outputs and exports are those of the model's own head. It takes the place of model.dropout, and
    the loss that of ``objective``.

    Attributes:
        samples: masks, at least 2.
        dropout: fraction of the vector that a mask sets to 0, 0 to below 1.
    """

    samples: int = 5
    dropout: float = 0.3

    is_per_word: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.samples < 2:
            raise ValueError(f"samples must be at least 2, got {self.samples}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be from 0 to below 1, got {self.dropout}")

    def reads(self, spec: TaskSpec) -> Reads:
        return Reads("own")

    def build(self, encoder: EncoderOutputs, spec: TaskSpec) -> Any:
        return encoder.outputs(encoder.own, dropout=0.0)

    def objective(self) -> MeanLoss:
        return MeanLoss(self.samples, self.dropout)


@dataclass(frozen=True)
class MeanLoss:
    """The mean of the loss over dropout masks of what the last layer reads."""

    samples: int
    dropout: float

    accepts: ClassVar[Accepts] = Accepts(tuple(OutputKind), tuple(LabelKind))
    needs: ClassVar[Needs] = Needs(pooled=True)

    def build(self, spec: TaskSpec):
        import keras

        def objective(step: TrainingStep):
            pooled = step.pool()
            outputs = [
                step.forward(pooled=keras.random.dropout(pooled, self.dropout, seed=step.seed))
                for _ in range(self.samples)
            ]
            losses = [step.loss(each) for each in outputs]
            return sum(losses) / self.samples, sum(outputs) / self.samples

        return objective
