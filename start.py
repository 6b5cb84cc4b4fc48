"""Sets everything up, then runs xferlab or its tests; needs nothing but Python 3.11 or newer.

python3 start.py model=bert optimizer.lr=3e-5     arguments go to ``python -m xferlab``
python3 start.py test                             further arguments go to pytest
"""

import hashlib
import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent
ENVIRONMENT = ROOT / ".venv"
PYTHON = ENVIRONMENT / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
XDIST = ["-n", "auto", "--maxprocesses", "4", "--dist", "worksteal"]
"""Each process takes a stretch of the tests in their order, then some of a slower one's; 2.5 GB."""
COVERAGE = {"SLIPCOVER_ENABLED": "1", "SLIPCOVER_SOURCE": "xferlab,plugins"}
"""Has the processes of the tests count the lines that they execute."""
PINS = (ROOT / "requirements.lock", ROOT / "pyproject.toml")


def main() -> int:
    """Make the environment where it is missing or out of date, then run the command in it."""
    if sys.version_info < (3, 11):
        print(f"Python 3.11 or newer is needed, this is {sys.version.split()[0]}", file=sys.stderr)
        return 2
    set_up()
    arguments = sys.argv[1:]
    if arguments[:1] == ["test"]:
        command = [str(PYTHON), "-m", "pytest", *XDIST, *arguments[1:]]
        return subprocess.call(command, cwd=ROOT, env=os.environ | COVERAGE)
    return subprocess.call([str(PYTHON), "-m", "xferlab", *arguments], cwd=ROOT)


def set_up() -> None:
    """Install the pinned packages and xferlab itself, unless that is done already."""
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in PINS)).hexdigest()
    done = ENVIRONMENT / "xferlab-installed"
    if done.exists() and done.read_text() == digest:
        return
    print(f"setting up {ENVIRONMENT.name} (a few minutes, once) ...", file=sys.stderr, flush=True)
    venv.create(ENVIRONMENT, with_pip=True)
    install = [str(PYTHON), "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
    subprocess.check_call([*install, "--requirement", str(PINS[0])])
    subprocess.check_call([*install, "--no-deps", "--editable", str(ROOT)])
    done.write_text(digest)


if __name__ == "__main__":
    sys.exit(main())
