"""Warm start from the network of an earlier run."""

from __future__ import annotations

from dataclasses import dataclass

from xferlab import TaskSpec, TextModel, register


@register("model", "from_run")
@dataclass(frozen=True)
class FromRun:
    """The trained network of an earlier run below a freshly initialised head.

    Intermediate-task transfer (Phang et al. 2018, STILTs): train on a large related task, then on
    the small one. It is a new run; ``--recover`` resumes an interrupted one.

    Attributes:
        run: folder of the finished run; of any task.
        keep_head: copy its head too; the classes must be the same, in the same order.
    """

    run: str
    keep_head: bool = False

    accepts_head = True  # no ClassVar: that would be a part of the run id

    def identity(self) -> dict:
        from xferlab import identity_of_run

        return {"run": identity_of_run(self.run), "keep_head": self.keep_head}

    def inputs(self) -> dict[str, str]:
        from xferlab import content_of_run

        return content_of_run(self.run)

    def fetch(self):
        from xferlab import source_run

        return source_run(self.run)

    def check(self, spec: TaskSpec, head=None) -> tuple[str, ...]:
        from xferlab import blocks_of

        return blocks_of(self.fetch(), spec, head)

    def tokenizer(self, spec: TaskSpec, head=None):
        from xferlab import tokenizer_of_run

        return tokenizer_of_run(self.fetch(), spec)

    def build(self, spec: TaskSpec, head=None) -> TextModel:
        from xferlab import start_from

        return start_from(self.fetch(), spec, keep_head=self.keep_head, head=head)

    def restore(self, spec: TaskSpec, folder, head=None) -> TextModel:
        from xferlab import restore_from_run

        return restore_from_run(spec, folder, head)
