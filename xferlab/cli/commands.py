"""The commands: what each does, how it is called, and the function that runs it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Command:
    """A command of ``python -m xferlab``.

    Attributes:
        target: ``module:function`` below :mod:`xferlab.cli`, imported when it is called.
        usage: what follows its name.
        summary: what it does, for the list of commands.
        details: for its own ``--help``; "" where the function parses its flags itself and has it.
        parses_flags: whether the function takes the arguments as they are.
        first_line: printed on standard error before anything is loaded, of a command that is slow.
    """

    target: str
    usage: str
    summary: str
    details: str = ""
    parses_flags: bool = False
    first_line: str = ""


COMMANDS = {
    "train": Command("train:train", "[OVERRIDES]", "train one experiment, with -m a sweep"),
    "check": Command(
        "check:check",
        "[OVERRIDES]",
        "check config, data, checkpoint",
        """\
Checks everything that a training would check before its first step, and trains nothing: names and
types of all keys, whether the plugins fit together and to the task, the files, columns and labels
of the data, and the checkpoint. With -m it checks every job of the sweep. Exit code 0 or 2.

  python -m xferlab check data=files data.train=train.csv model=minilm
  python -m xferlab check -m optimizer.lr=1e-5,3e-5 sweep.workers=2
""",
    ),
    "data": Command(
        "data:data",
        "[OVERRIDES]",
        "what the data is like",
        """\
Reads the data of a config and trains nothing: rows, classes and lengths in tokens of each split,
what data.max_length cuts, unknown tokens, empty, repeated and contradictory rows, rows that splits
share, what a constant prediction and TF-IDF with a linear model score, and ten examples. Texts are
in a temporary file, not in memory.

  python -m xferlab data data=files data.train=train.csv
  python -m xferlab data data=files data.train=train.csv model=minilm --html data.html
""",
        first_line="data       reading the config",
    ),
    "find-lr": Command(
        "find_lr:find_lr",
        "[OVERRIDES]",
        "suggest a learning rate",
        """\
Trains some steps while the learning rate grows from step to step (Smith 2017), suggests a peak for
the schedule, and draws the loss over the rate. The run folders stay as they are.

  python -m xferlab find-lr model=minilm data=files data.train=train.csv
  python -m xferlab find-lr from=1e-7 to=1 steps=200

The result is in outputs/find_lr/; docs/finding-a-rate.md says how to read it.
""",
    ),
    "list": Command(
        "list:show_list",
        "[GROUP...]",
        "plugins, presets and files",
        """\
Prints a line for everything that can be chosen: plugins and presets of each group, files of the
groups experiment, debug and sweep, launchers, and the settings train.KEY and sweep.KEY.

  python -m xferlab list
  python -m xferlab list loss model train
""",
    ),
    "describe": Command(
        "describe:describe",
        "NAME...",
        "fields, types, defaults, files",
        """\
Says what a name is: a group, a plugin or preset, a file, a launcher, or a setting with its type,
choices and default.

  python -m xferlab describe loss
  python -m xferlab describe loss=focal loss.gamma
  python -m xferlab describe train train.precision
  python -m xferlab describe experiment=frozen_encoder sweep=lr hydra/launcher=ray
""",
    ),
    "report": Command(
        "report:report",
        "FOLDER...",
        "runs and sweeps side by side",
        """\
Prints the table of sweeps and runs, unfinished ones too: scores, mean and spread over seeds, the
best setting, tests of the differences, failed jobs. It writes report.html, summary.md, results.csv
and results.json into the folder, or for several folders into outputs/reports/.

  python -m xferlab report outputs/sweeps/NAME
  python -m xferlab report outputs/runs/A outputs/runs/B outputs/sweeps/NAME
""",
    ),
    "evaluate": Command(
        "evaluate:evaluate", "RUN [DATA]", "scores of a run on any data", parses_flags=True
    ),
    "predict": Command(
        "predict:predict", 'RUN "text"', "predictions for texts and files", parses_flags=True
    ),
    "export": Command(
        "export:export", "RUN --to onnx", "a run as ONNX, LiteRT, ...", parses_flags=True
    ),
    "new": Command("new:new", "GROUP NAME", "a plugin or a project, to start", parses_flags=True),
    "doctor": Command(
        "doctor:doctor",
        "",
        "whether this machine can train",
        """\
Prints the versions of Python and of the packages, the optional features, broken plugins, cores and
memory, whether the folders can be written to and how much is free, whether the Hub answers, the
GPUs that TensorFlow sees and why it does not see one that is there, and trains the bundled model
for an epoch in a temporary folder. Exit code 1 if something prevents a training.

  python -m xferlab doctor
""",
    ),
    "catalogue": Command(
        "catalogue:write_catalogue",
        "[FILE.html]",
        "a page of every plugin",
        parses_flags=True,
    ),
    "combine": Command(
        "combine:combine_runs",
        "RUN...",
        "average, vote or soup of runs",
        parses_flags=True,
    ),
    "run": Command(
        "run_again:run_again", "again RUN", "train a run anew, compare bits", parses_flags=True
    ),
    "completion": Command(
        "completion:completion", "SHELL", "for bash, zsh and fish", parses_flags=True
    ),
    "schema": Command(
        "schema:schema",
        "",
        "JSON schema of config files",
        """\
Prints a JSON schema of config files: the keys, types, choices, defaults and texts of the framework
and of all plugins, those of this folder included. Editors check and complete YAML with it.

  python -m xferlab schema > conf/xferlab.schema.json

A file names it in its first line:  # yaml-language-server: $schema=../xferlab.schema.json
""",
    ),
    "help": Command("help:show_help", "", "this page; each command has --help"),
}
