"""Each attack of ``attacks.py`` on an application of plain Hydra, in a process of its own.

Prints the names of those that succeed: ``python -m tests.support.plain_hydra FOLDER``.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import sys

import hydra

from tests.support.attacks import CONFIG_ATTACKS, ConfigAttack


@hydra.main(version_base="1.3", config_path=None)
def job(cfg):
    if "PLANTED" in os.environ:
        pathlib.Path("marker").touch()


def attack(folder: pathlib.Path, case: ConfigAttack) -> None:
    case.write(folder, {"conf/config.yaml": "name: null\n"})
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    os.environ |= {"SECRET": "hunter2", "HOME": str(folder)}
    overrides = case.command.replace("experiment=", "+experiment=").replace("seed=", "++seed=")
    sys.argv[1:] = ["--config-dir", "conf", *overrides.split()]
    job()


if __name__ == "__main__":
    for number, (name, case) in enumerate(CONFIG_ATTACKS.items()):
        folder = pathlib.Path(sys.argv[1]) / str(number) / "work"
        child = os.fork()
        if child == 0:
            with contextlib.suppress(BaseException), contextlib.redirect_stdout(sys.stderr):
                attack(folder, case)
            os._exit(0)
        os.waitpid(child, 0)
        if case.succeeded(folder):
            sys.stdout.write(f"{name}\n")
            sys.stdout.flush()  # else the next child has it in its buffer too
