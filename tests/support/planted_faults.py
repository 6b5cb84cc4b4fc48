"""Faults planted into the templates of ``new``, and the words of the finding for each.

A row is a group, what is replaced by what in its template, and a part of the finding. They are in
the order in which they are found: on import, in the source, in the values, in what is built (from
BUILT on), in a run (from TRAINED on).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from xferlab.cli.plugin_template import TEMPLATES

NAME = "example"


@dataclass(frozen=True)
class Fault:
    """A change of a template.

    Attributes:
        group: of the template.
        old: a part of it.
        new: what it becomes.
        words: part of the finding.
        more: further parts, and what they become.
    """

    group: str
    old: str
    new: str
    words: str
    more: tuple[tuple[str, str], ...] = ()

    @property
    def source(self) -> str:
        """The plugin with the fault."""
        text = (TEMPLATES / f"{self.group}.py").read_text()
        for old, new in ((self.old, self.new), *self.more):
            assert old in text, old
            text = text.replace(old, new, 1)
        return text

    def write(self, folder: Path) -> Path:
        """Write the plugin where ``folder`` has its plugins."""
        path = folder / "plugins" / self.group / f"{NAME}.py"
        path.parent.mkdir(parents=True)
        path.write_text(self.source)
        return path


FROZEN = "@dataclass(frozen=True)"
FUTURE = "from __future__ import annotations\n"
LOSS_ENDS = "return cross_entropy + self.penalty * ops.mean(ops.square(logits), axis=-1)"
SCORE_ENDS = "return float((outputs[confident].argmax(-1) != labels[confident]).mean())"
SCHEDULE_ENDS = "return warmup_then(shape, peak, budget, warmup=self.warmup)"
OBJECTIVE_ENDS = "return loss, outputs, {"
REMEMBERS = '        return {"mean": self.mean}'

IMPORTED = [
    Fault("loss", FROZEN, "@dataclass", "is not a frozen dataclass"),
    Fault("loss", FROZEN, "", "is not a frozen dataclass"),
    Fault("loss", "def build(", "def make(", "has no build() method"),
    Fault("loss", "accepts: ClassVar", "takes_what: ClassVar", "does not declare 'accepts"),
    Fault("metric", "mode: ClassVar", "way: ClassVar", "does not declare 'mode"),
    Fault("loss", "penalty: float = 0.001", "name: str = ''\n    penalty: float = 1.0", "'name'"),
    Fault("loss", "penalty: float = 0.001", "penalty: complex = 1j", "complex"),
    Fault(
        "metric",
        "    fraction: float = 0.5",
        "    contract = 2\n    fraction: float = 0.5",
        "contract 2",
    ),
    Fault("data", "    limit: dict", "    contract = 'one'\n    limit: dict", "contract = 'one'"),
    Fault("loss", f'"{NAME}"', '"My-Loss"', "is not a plugin name"),
    Fault("head", "class Example:", "class Example", "SyntaxError"),
    Fault("callback", "import logging", "import no_such_module", "No module named"),
    Fault("optimizer", "check_rates, ", "check_rats, ", "cannot import name"),
    Fault("average", f'"{NAME}"', f'"{NAME}", True', "TypeError"),
    Fault("schedule", '"schedule"', '"schedul"', "there is no plugin group"),
]
SOURCE = [
    Fault("loss", '    """Cross-entropy,', '    X = """Cross-entropy,', "has no docstring"),
    Fault(
        "loss",
        "        penalty: weight",
        "        weight: weight",
        "not document its field penalty",
    ),
    Fault(
        "schedule",
        "        warmup: length",
        "        peak: top.\n        warmup: length",
        "peak that",
    ),
    Fault("schedule", "down to zero.", "down to zero", "no first line that is one short sentence"),
    Fault(
        "loss",
        "penalty: float = 0.001",
        "penalty: Any = 0.001",
        "gives its field penalty no type",
        (("import ClassVar", "import Any, ClassVar"),),
    ),
    Fault(
        "optimizer", "    rho: float = 0.9", "    rho = 0.9", "class attribute rho without a type"
    ),
    Fault("loss", FUTURE, f"{FUTURE}import matplotlib\n", "imports matplotlib when"),
    Fault("metric", FUTURE, f"{FUTURE}from scipy.special import expit\n", "imports scipy.special"),
    Fault(
        "callback",
        "import logging\n",
        "import logging\ntry:\n    import jax\nexcept ImportError:\n    pass\n",
        "imports jax when it is loaded",
    ),
    Fault(
        "loss",
        "        import keras ",
        "        from xferlab.functional.losses import cross_entropy\n        import keras ",
        "imports xferlab.functional.losses, which is no public module",
    ),
    Fault("loss", "def build(self, spec: TaskSpec)", "def build(self)", "def build(self, spec)"),
    Fault("head", "encoder: EncoderOutputs, spec: TaskSpec", "encoder", "build() of other arg"),
    Fault("head", "def reads(self, spec: TaskSpec)", "def reads(self)", "def reads(self, spec)"),
    Fault("schedule", "peak: float, budget: Budget", "peak", "def build(self, peak, budget)"),
    Fault("average", "(self, moment: Moment)", "(self, moment, weights)", "take() of other arg"),
    Fault("postprocess", "outputs, parameters, xp", "outputs, parameters", "apply() of other"),
    Fault("postprocess", "outputs, labels, spec", "outputs, labels", "fit() of other arguments"),
    Fault("transfer", "model: TextModel, budget: Budget", "model: TextModel", "apply() of other"),
    Fault("optimizer", "def build(self, learning_rate)", "def build(self)", "build() of other"),
    Fault("data", "def build(self, seed: int)", "def build(self)", "def build(self, seed)"),
    Fault("model", "spec: TaskSpec, folder)", "folder)", "restore() of other arguments"),
    Fault("callback", "def build(self, run: Run)", "def build(self)", "def build(self, run)"),
    Fault("callback", "def identity(", "def identiy(", "did you mean identity?"),
    Fault("head", "def reads(", "def read(", "did you mean reads?"),
    Fault("objective", "parts: ClassVar", "part: ClassVar", "did you mean 'parts'?"),
    Fault(
        "loss",
        "    # What it can",
        "    accepts_soft_label = True\n\n    # What it can",
        "did you mean 'accepts_soft_labels'?",
    ),
    Fault(
        "metric",
        "    bounds: ClassVar",
        "    scale: ClassVar[int] = 1\n    bounds: ClassVar",
        "run ids",
    ),
    Fault("data", FUTURE, f"{FUTURE}print('loaded')\n", "calls print() when it is loaded"),
    Fault("model", "has_layers: ClassVar[bool] = False", "has_layers = 'no'", "has_layers='no'"),
]
VALUES = [
    Fault(
        "loss",
        "        if self.penalty < 0:",
        "        object.__setattr__(self, 'penalty', self.penalty * 2)\n        if self.penalty < 0:",
        "is not equal to one that is built from the values of its fields",
    ),
    Fault("schedule", FROZEN, "@dataclass(frozen=True, eq=False)", "is not equal to one that"),
    Fault("metric", "raise ValueError", "raise KeyError", "where it should refuse it"),
    Fault(
        "loss",
        'f"penalty must be >= 0, got {self.penalty}"',
        '"too small"',
        "without naming the field",
    ),
    Fault("head", "if self.layers < 1:", "if 1 / self.layers < 1:", "ZeroDivisionError"),
    Fault("average", "start: float = 0.5", "start: float = 1.5", "start must be from 0 to below 1"),
    Fault(
        "callback",
        '        """Return None: a log is no part of what a run computes, nor of its id."""',
        "        return [1]",
        "returns [1] from identity()",
    ),
    Fault(
        "callback",
        '        """Return None: a log is no part of what a run computes, nor of its id."""',
        "        import time\n\n        return {'now': time.perf_counter()}",
        "returns other values from identity() each time",
    ),
    Fault(
        "data",
        "    def build(",
        "    def inputs(self):\n        return {'rows': {1, 2}}\n\n    def build(",
        "returns no JSON data from inputs()",
    ),
    Fault(
        "optimizer",
        "    def build(",
        "    def identity(self):\n        return {'lr': self.rate}\n\n    def build(",
        "fails in identity(): AttributeError",
    ),
]
BUILT = [
    Fault("loss", "return cross_entropy +", "return -cross_entropy -", "change its sign"),
    Fault(
        "loss",
        "log_p = ops.log_softmax(logits, axis=-1)",
        "log_p = ops.log(ops.softmax(logits, axis=-1))",
        "is not finite for logits of a confident model",
    ),
    Fault(
        "loss",
        LOSS_ENDS,
        "import random\n                return cross_entropy + random.random()",
        "another value for the same batch",
    ),
    Fault("loss", LOSS_ENDS, "return ops.mean(cross_entropy)", "their weighted mean is"),
    Fault("loss", LOSS_ENDS, "return ops.stop_gradient(cross_entropy)", "has no gradient"),
    Fault(
        "loss",
        "            def call(inner, labels, logits):",
        "            def call(inner, labels, logits):\n"
        "                labels = ops.argmin(labels, -1) if len(labels.shape) > 1 else labels",
        "declares accepts_soft_labels, but differs",
        (("    # What it can", "    accepts_soft_labels = True\n\n    # What it can"),),
    ),
    Fault("loss", "return PenalisedCrossEntropy()", "return None", "builds a NoneType, not a loss"),
    Fault("loss", "return PenalisedCrossEntropy()", "return self.loss", "has no attribute 'loss'"),
    Fault(
        "loss",
        "outputs=(OutputKind.logits,)",
        "outputs=(OutputKind.logits, OutputKind.probabilities)",
        "gets probabilities, but computes as if they were logits",
    ),
    Fault("loss", "(OutputKind.logits,)", "('logits',)", "declares accepts.outputs=('logits',)"),
    Fault("metric", 'ClassVar[str] = "min"', 'ClassVar[str] = "max"', "declares mode=max, but is"),
    Fault("metric", 'ClassVar[str] = "min"', 'ClassVar[str] = "less"', "declares mode='less'"),
    Fault("metric", SCORE_ENDS, "return outputs.argmax(-1) != labels", "array"),
    Fault("metric", SCORE_ENDS, 'return float("nan")', "is nan for right outputs"),
    Fault(
        "metric",
        "np.sort(outputs, axis=-1)",
        "outputs; outputs.sort(axis=-1)",
        "changes the arrays",
    ),
    Fault("metric", "(0.0, 1.0)", "(1.5, 2.0)", "declares bounds=(1.5, 2)"),
    Fault("metric", "return score", "return 0.5", "neither a function nor a Keras metric"),
    Fault(
        "metric", SCORE_ENDS, "return float(np.random.rand())", "gives another score for the same"
    ),
    Fault("schedule", SCHEDULE_ENDS, "return 2 * peak", "above the peak 0.5 that it is given"),
    Fault(
        "schedule", "(1 - progress) ** 2", "1 - 2 * progress", "every rate must be a number >= 0"
    ),
    Fault("schedule", "(1 - progress) ** 2", "1 / progress", "plans the rate"),
    Fault("schedule", SCHEDULE_ENDS, "return 0.0", "plans the rate 0 for all 20 steps"),
    Fault("schedule", SCHEDULE_ENDS, "return [peak] * budget.total_steps", "neither a rate nor"),
    Fault(
        "schedule",
        SCHEDULE_ENDS,
        "import random\n\n        return peak * random.random()",
        "plans other rates each time",
    ),
    Fault(
        "optimizer",
        "            learning_rate, rho",
        "            self.lr, rho",
        "where it is given 0.25",
    ),
    Fault("optimizer", "rho=self.rho,", "rho=self.rho, clipnorm=1.0,", "sets clipnorm"),
    Fault("optimizer", "rho=self.rho,", "rho=self.rho, use_ema=True,", "sets use_ema"),
    Fault(
        "optimizer",
        "return exclude_from_weight_decay(optimizer, self.no_decay)",
        "return 'sgd'",
        "builds a str",
    ),
    Fault(
        "postprocess",
        'return {"factor": np.array([max(FACTORS, key=likelihood)])}',
        "return {}",
        "fits nothing",
    ),
    Fault(
        "postprocess",
        'outputs * parameters["factor"]',
        'outputs * parameters["factor"] - xp.mean(outputs)',
        "row",
    ),
    Fault(
        "postprocess",
        "np.array([max(FACTORS, key=likelihood)])",
        "np.random.rand(1)",
        "fits other numbers to the same outputs each time",
    ),
    Fault(
        "data",
        "        texts, labels = map(",
        "        import random\n\n        random.shuffle(examples)\n        texts, labels = map(",
        "gives other examples for train with the same seed",
    ),
    Fault(
        "data",
        "return text_data(rows, seed,",
        "return rows or text_data(rows, seed,",
        "instead of TextData",
    ),
    Fault("model", '"head": ("head",)', '"head": ("top",)', "names a layer 'top'"),
    Fault("model", "return TextModel(", "return dict(", "builds a dict"),
    Fault(
        "model",
        "return self.restore(spec, self.fetch().folder)",
        "import dataclasses\n\n        wide = dataclasses.replace(self, width=2 * self.width)\n"
        "        return wide.restore(spec, self.fetch().folder)",
        "restores a network of other weights than it builds",
    ),
    Fault("average", "    def take(", "    slots = 0\n\n    def take(", "has slots=0"),
]
TRAINED = [
    Fault("average", "Take(1 / (moment.taken + 1))", "Take(2.0)", "fraction"),
    Fault("average", "return Take(", "return None and Take(", "takes no weights in 6 steps"),
    Fault("transfer", "Phase(budget.epochs,", "Phase(1,", "epochs long and the run has 2"),
    Fault("transfer", "frozen=(lowest,)", "frozen=('bottom',)", "names a block 'bottom'"),
    Fault("transfer", "frozen=(lowest,)", "frozen=tuple(model.blocks)", "nothing is trained"),
    Fault(
        "objective",
        "return loss, outputs, {",
        "return 0.0 * loss, outputs, {",
        "does not depend on the weights",
    ),
    Fault(
        "objective",
        "loss = supervised +",
        "import keras\n            loss = keras.random.uniform(()) + supervised +",
        "gives another loss for the same batch",
    ),
    Fault("objective", '("supervised", "entropy")', '("supervised",)', "entropy"),
    Fault("callback", REMEMBERS, "        return {}", "cannot restore its own state"),
    Fault(
        "callback",
        '        self.mean = state["mean"]',
        "        pass",
        "has another state once it is restored",
    ),
    Fault(
        "callback",
        "        self.mean = self.decay",
        "        self.count = getattr(self, 'count', 0) + 1\n        self.mean = self.decay",
        "forgets 'count'",
    ),
    Fault(
        "callback",
        REMEMBERS,
        '        return {"mean": {self.mean}}',
        "returns no JSON data from state()",
    ),
    Fault(
        "callback",
        '        logging.getLogger("xferlab").info("loss mean  %.6f", self.mean)',
        "        return self.mean",
        "from on_epoch",
    ),
    Fault(
        "callback", "step.loss if self", "step.losses if self", "fails in on_step: AttributeError"
    ),
    Fault(
        "head",
        "return encoder.outputs(ops.concatenate([mean, largest], axis=-1))",
        "return mean",
        "outputs of shape",
    ),
    Fault("head", "sum(encoder.layers[1:], encoder.layers[0])", "encoder.layer", "AttributeError"),
    Fault(
        "optimizer",
        "        optimizer = keras.optimizers.RMSprop(",
        "        class Forgetful(keras.optimizers.RMSprop):\n"
        "            def __init__(inner, *arguments, **settings):\n"
        "                import tensorflow as tf\n\n"
        "                super().__init__(*arguments, **settings)\n"
        "                inner._steps = tf.Variable(0.0)\n\n"
        "            def apply(inner, grads, variables=None):\n"
        "                scale = 1.0 / (1.0 + inner._steps.assign_add(1.0))\n"
        "                return super().apply([g * scale for g in grads], variables)\n\n"
        "        optimizer = Forgetful(",
        "when the run is killed and resumed",
    ),
    Fault(
        "callback",
        "        return _Mean(self.decay)",
        "        _Mean.network = run.network\n        return _Mean(self.decay)",
        "changes the network's weights in on_step",
        (
            (
                "        before = step.loss",
                "        self.network.weights[0].assign_add(self.network.weights[0])\n"
                "        before = step.loss",
            ),
        ),
    ),
]
