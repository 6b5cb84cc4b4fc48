"""The command line: ``python -m xferlab [command] [overrides]``."""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from datetime import datetime
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from xferlab.cli.catalogue import describe, show_help, show_list
from xferlab.config.compose import CONFIG_MODULE, compose_config, preflight, publish
from xferlab.config.overrides import as_word
from xferlab.config.recipe import Recipe, read
from xferlab.config.suggestions import setting_for_flag
from xferlab.discovery import load_plugins
from xferlab.errors import ConfigError, PluginError, XferlabError, did_you_mean
from xferlab.registry import REGISTRY
from xferlab.runs.failure import report_failure
from xferlab.runs.folder_access import refuse_unusable
from xferlab.runs.inputs import read_inputs
from xferlab.runs.lock import locked, refuse_links
from xferlab.runs.os_errors import as_run_error
from xferlab.runs.outside_paths import refuse_places_outside
from xferlab.runs.refused_run import left_if_begun
from xferlab.runs.resume import refuse_changed, run_folder, stored_words
from xferlab.runs.signals import Interrupted
from xferlab.sweep.engines import publish_engines


def main(argv: list[str] | None = None) -> int:
    """Run one command and return the exit code: 0 done, 1 run failed, 2 config or plugin."""
    argv = list(sys.argv[1:] if argv is None else argv)
    command = argv.pop(0) if argv and argv[0] in (*COMMANDS, *RUN_COMMANDS) else "train"
    debug = "--debug" in argv
    try:
        _open_closed_streams(command, argv)
        _refuse_broken_words(argv)
        code = _obey(command, [word for word in argv if word != "--debug"])
        sys.stdout.flush()
        return code
    except SystemExit as e:  # argparse has printed a command's help
        return int(e.code or 0)
    except XferlabError as e:
        if debug:
            traceback.print_exception(e)
        print(e, file=sys.stderr)
        return e.exit_code
    except BrokenPipeError:  # the reader, e.g. ``head``, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Interrupted as e:
        return e.exit_code
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except OSError as e:
        known = as_run_error(e)
        if known is None or debug:
            raise
        print(known, file=sys.stderr)
        return known.exit_code


def _refuse_broken_words(argv: list[str]) -> None:
    """Raise ConfigError for a word that is not UTF-8: no file of the run could hold it."""
    for word in argv:
        try:
            word.encode()
        except UnicodeEncodeError as e:
            raise ConfigError(
                f"the word {word[:60]!r} is not UTF-8",
                where="command line",
                fix="rename the file, or give its folder and a * in place of the letter",
            ) from e


def _open_closed_streams(command: str, argv: list[str]) -> None:
    """Open the streams that the shell has closed, so that no other file takes their place.

    Raises:
        ConfigError: the command says what it has to say on standard output, and that is closed.
    """
    closed = sys.stdout is None
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "r" if name == "stdin" else "w"))  # noqa: SIM115
    prints = {"-h", "--help", "-c", "--cfg", "-i", "--info", "--dry-run"}.intersection(argv)
    if closed and (prints or command not in ("train", "find-lr")):
        raise ConfigError(
            "standard output is closed, and there is nowhere to write to",
            where=command,
            fix="leave >&- out; > /dev/null throws the output away",
        )


def _obey(command: str, argv: list[str]) -> int:
    """Run one command; those on finished runs read their own flags."""
    if command in RUN_COMMANDS:
        load_plugins(Path.cwd())
        report_broken_plugins()
        publish(Path.cwd())
        publish_engines()
        return RUN_COMMANDS[command](argv)
    flags, words = parse(argv)
    load_plugins(Path.cwd())
    report_broken_plugins()
    publish(Path.cwd(), Path(flags.config_dir) if flags.config_dir else None)
    publish_engines()
    return show_help(flags, words) if flags.help else COMMANDS[command](flags, words)


def parse(argv: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """Split ``argv`` into our flags and plain words; every other flag is refused.

    Hydra has flags that run code (``--experimental-rerun`` unpickles a file) or that move
    the config out of the checked path, so only the ones listed here get through.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("-h", "--help", action="store_true")
    parser.add_argument("-m", "--multirun", action="store_true")
    parser.add_argument("--dry-run", action="store_true")
    parser.add_argument("-c", "--cfg", choices=["job", "hydra", "all"])
    parser.add_argument("-i", "--info", choices=["searchpath", "defaults", "defaults-tree"])
    parser.add_argument("-r", "--resolve", action="store_true")
    parser.add_argument("-p", "--package")
    parser.add_argument("-cd", "--config-dir")
    parser.add_argument("-cn", "--config-name", default="config")
    parser.add_argument("--recover")
    parser.add_argument("--force", action="store_true")
    known = [word for action in parser._actions for word in action.option_strings]
    argv = ["--recover=" if word == "--recover" else word for word in argv]  # takes no next word
    try:
        flags, rest = parser.parse_known_args(argv)
    except argparse.ArgumentError as e:
        raise ConfigError(str(e), where=" ".join(argv), fix="python -m xferlab --help") from e
    unknown = [a for a in rest if a.startswith("-")]
    if unknown:
        fix = setting_for_flag(argv, unknown[0]) or did_you_mean(unknown[0], known)
        raise ConfigError(f"there is no flag {unknown[0]}", where=unknown[0], fix=fix)
    if flags.config_dir and not Path(flags.config_dir).is_dir():
        raise ConfigError(
            "there is no such folder", where=f"--config-dir {flags.config_dir}", fix="make it"
        )
    return flags, rest


def report_broken_plugins() -> None:
    """Name every plugin file that could not be used, on stderr, at every start."""
    for error in REGISTRY.broken:
        print(error, file=sys.stderr)


def train(flags: argparse.Namespace, overrides: list[str]) -> int:
    """Check every job, then hand over to Hydra, which calls :func:`job` once a job."""
    if flags.multirun and (flags.cfg or flags.info):
        word = "--cfg" if flags.cfg else "--info"
        raise ConfigError(
            f"{word} prints one config, and -m runs several", where=word, fix="leave -m out"
        )
    if flags.multirun and (flags.force or flags.recover is not None):
        word = "--force" if flags.force else "--recover"
        raise ConfigError(
            f"{word} is for one run", where=word, fix="the same sweep again goes on by itself"
        )
    if flags.multirun:
        from xferlab.cli.report import report_on
        from xferlab.cli.sweep import run_sweep

        return run_sweep(
            overrides,
            lambda words: _run_hydra(flags, words),
            lambda folder: report_on([folder], pictures=True),
            config_name=flags.config_name,
            dry_run=flags.dry_run,
        )
    if flags.dry_run:
        raise ConfigError("--dry-run prints the jobs of a sweep", where="--dry-run", fix="add -m")
    if flags.recover and os.path.exists(Path(flags.recover) / "job.json"):
        from xferlab.sweep.worker import recover_job

        return recover_job(Path(flags.recover), overrides)
    typed = list(overrides)
    if flags.recover:
        overrides = [*stored_words(Path(flags.recover)), *overrides]
    if flags.cfg or flags.info:
        preflight(overrides, flags.config_name)
        _run_hydra(flags, overrides)
        return 0
    folder = _run_dir(flags, overrides, typed)
    with left_if_begun(folder) as attempt:
        with locked(folder):  # also: the folder can be made and written to
            pass
        _failures.clear()
        _run_hydra(flags, [*overrides, as_word("hydra.run.dir", str(folder))])
        attempt.refused = bool(_failures) and isinstance(_failures[0], ConfigError | PluginError)
    return _exit_code(_failures[0]) if _failures else 0


def _run_hydra(flags: argparse.Namespace, overrides: list[str]) -> None:
    """Let Hydra run :func:`job`, or with ``-m`` its sweeper, on words that were checked."""
    os.environ["HYDRA_FULL_ERROR"] = "1"  # what is left to raise is a bug: show where
    sys.argv[1:] = [*_hydra_flags(flags), *overrides]
    job()


def _run_dir(flags: argparse.Namespace, overrides: list[str], typed: list[str]) -> Path:
    """Check the job and return the folder that it is to be run in."""
    cfg, recipe = preflight(overrides, flags.config_name)
    named = any(word.startswith("hydra.run.dir=") for word in overrides)
    usual = Path(cfg.hydra.run.dir)
    refuse_unusable(Path(flags.recover or usual), "choose another hydra.run.dir")
    folder = run_folder(recipe, usual, named=named, recover=flags.recover, force=flags.force)
    if flags.recover:
        _refuse_strangers(folder, recipe, typed)
    refuse_changed(folder, recipe)
    return folder


def _refuse_strangers(folder: Path, recipe: Recipe, typed: list[str]) -> None:
    """Raise ConfigError if a folder that was named leads out of itself, by links or by words."""
    refuse_links(folder)
    inputs = read_inputs(folder)
    if inputs is not None:
        refuse_changed(folder, recipe)  # of one's own run that is the better answer
    refuse_places_outside(folder, recipe.config, inputs, typed)


def _hydra_flags(flags: argparse.Namespace) -> list[str]:
    words = ["--config-name", flags.config_name]
    words += ["--multirun"] * flags.multirun + ["--resolve"] * flags.resolve
    for name in ("cfg", "info", "package"):
        value = getattr(flags, name)
        words += [f"--{name}", value] if value else []
    return words


def _exit_code(error: Exception) -> int:
    return error.exit_code if isinstance(error, XferlabError) else 1


_failures: list[Exception] = []
"""What the jobs of this process raised; each has told it already, in its own log too."""


@hydra.main(config_path=f"pkg://{CONFIG_MODULE}", config_name="config", version_base="1.3")
def job(cfg: DictConfig) -> float | None:
    """One Hydra job; also the entry point inside a sweep's worker process.

    A failure is kept, not raised, because Hydra would print it again and lose the other jobs'
    results; the truth about a job is its ``status.json``.
    """
    runtime = HydraConfig.get().runtime
    folder = Path(runtime.output_dir)
    load_plugins(Path(runtime.cwd))
    from xferlab.experiment.run import run
    from xferlab.sweep.manifest import JOB
    from xferlab.sweep.worker import run_planned_job

    try:
        return run_planned_job(folder) if (folder / JOB).exists() else run(read(cfg), folder)
    except Exception as e:  # noqa: BLE001 - a plugin may raise anything
        known = as_run_error(e) or e
        report_failure(known)  # what went wrong before the run could begin has not been told
        _failures.append(known if isinstance(known, Exception) else e)
        return None


def check(flags: argparse.Namespace, overrides: list[str]) -> int:
    """Compose and check without training; read the data and look at the checkpoint."""
    from xferlab.experiment.prepare import check_inputs

    if not flags.multirun:
        recipes = iter([preflight(overrides, flags.config_name)[1]])
        count = 1
    else:
        from xferlab.sweep.planner import plan_sweep

        plan = plan_sweep(overrides, flags.config_name)
        recipes = plan.recipes()
        count = plan.checked
    check_inputs(recipes)
    print(f"ok: {count} config{'s' if count != 1 else ''} checked, data and checkpoint read")
    return 0


def find_lr(flags: argparse.Namespace, words: list[str]) -> int:
    """Train a few steps at a growing rate, and suggest a peak for the schedule."""
    from xferlab.experiment.lr_finder import find_lr
    from xferlab.experiment.lr_range_test import span_words

    if flags.multirun:
        raise ConfigError("a range test is one job", where="-m", fix="leave -m out")
    span, overrides = span_words(words)
    preflight(overrides, flags.config_name)
    recipe = read(compose_config(overrides, flags.config_name))
    folder = Path(f"outputs/find_lr/{datetime.now():%Y-%m-%d_%H-%M-%S}-{recipe.run_id}")
    finding = find_lr(recipe, folder, span)
    print("\n".join([*finding.lines(overrides), f"kept in    {folder}"]))
    return 0


def report(flags: argparse.Namespace, words: list[str]) -> int:
    """Print the table of sweeps and runs, half-finished ones too, and write it beside them."""
    from xferlab.cli.report import report_on

    report_on([Path(word) for word in words])
    return 0


def export(argv: list[str]) -> int:
    """Write a finished run in a format of others, such as transformers' or ONNX."""
    from xferlab.cli.export import export as obey

    return obey(argv)


def predict(argv: list[str]) -> int:
    """Say what a run thinks of texts."""
    from xferlab.cli.predict import predict as obey

    return obey(argv)


def evaluate(argv: list[str]) -> int:
    """Score a finished run on its own rows or on others."""
    from xferlab.cli.evaluate import evaluate as obey

    return obey(argv)


COMMANDS = {
    "train": train,
    "check": check,
    "list": show_list,
    "describe": describe,
    "find-lr": find_lr,
    "report": report,
    "help": show_help,
}

RUN_COMMANDS = {"evaluate": evaluate, "export": export, "predict": predict}
"""Commands on finished runs: given the words as typed, which a FlagParser reads."""
