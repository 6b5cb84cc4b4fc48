"""Knowledge distillation from an earlier run or a file of outputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xferlab import Accepts, LabelKind, OutputKind, TaskSpec, TextData, TrainingStep, register


@register("objective", "distillation")
@dataclass(frozen=True)
class Distillation:
    """Distillation: the loss of the labels, and the divergence from a teacher's predictions.

    Hinton et al. 2015, section 2: both predictions are softened by a temperature, and the
    divergence is multiplied by its square. For values it is the squared difference. The teacher
    predicts the training examples once, without dropout, before training.

    Attributes:
        teacher: folder of a finished run, or a .npy file of outputs (examples, num_outputs) in the
            order of the training examples.
        temperature: divides the logits, above 0; values have none.
        weight: of the divergence, from 0 to 1; the loss of the labels has the rest.
    """

    teacher: str
    temperature: float = 2.0
    weight: float = 0.5

    accepts: ClassVar[Accepts] = Accepts(
        tuple(OutputKind), (LabelKind.class_index, LabelKind.multi_hot, LabelKind.float)
    )
    accepts_soft_labels = True
    uses_weights = True
    parts: ClassVar[tuple[str, ...]] = ("supervised", "distillation")

    def __post_init__(self) -> None:
        if self.temperature <= 0:
            raise ValueError(f"temperature must be above 0, got {self.temperature}")
        if not 0 <= self.weight <= 1:
            raise ValueError(f"weight must be from 0 to 1, got {self.weight}")

    def identity(self) -> dict:
        from xferlab import identity_of_teacher

        return {**vars(self), "teacher": identity_of_teacher(self.teacher)}

    def inputs(self) -> dict[str, str]:
        from xferlab import content_of_teacher

        return content_of_teacher(self.teacher)

    def check(self) -> None:
        from xferlab import check_teacher

        check_teacher(self.teacher)

    def arrays(self, data: TextData, spec: TaskSpec) -> dict:
        from xferlab import teacher_outputs

        return {"teacher": teacher_outputs(self.teacher, data, spec)}

    def build(self, spec: TaskSpec):
        from xferlab import divergence_of, weighted_mean

        is_value = spec.output_kind is OutputKind.values
        divergence = divergence_of(spec, self.temperature)
        scale = 1.0 if is_value else self.temperature**2

        def objective(step: TrainingStep):
            outputs = step.forward()
            supervised = step.loss(outputs)
            each = divergence(step.arrays["teacher"], outputs)
            distance = scale * weighted_mean(each, step.example_weights)
            loss = (1 - self.weight) * supervised + self.weight * distance
            return loss, outputs, {"supervised": supervised, "distillation": distance}

        return objective
