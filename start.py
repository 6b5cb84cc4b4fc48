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
WORKERS = min(4, (os.cpu_count() or 1) + 1)
"""One more than cores, as tests wait for processes and for the disk; 2.5 GB each."""
XDIST = ["-n", str(WORKERS), "--dist", "worksteal"]
"""Each worker takes a stretch of the tests in their order, then some of a slower one's."""
COVERAGE = {"SLIPCOVER_ENABLED": "1", "SLIPCOVER_SOURCE": "xferlab,plugins"}
"""Has the processes of the tests count the lines that they execute."""
INSTALL = [str(PYTHON), "-m", "pip", "install", "-qq", "--disable-pip-version-check", "--no-deps"]
if not sys.dont_write_bytecode:
    INSTALL.append("--no-compile")  # half of pip's work; an import compiles what it needs
PINS = (ROOT / "requirements.lock", ROOT / "pyproject.toml", ROOT / "setup.py")


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
    print(f"setting up {ENVIRONMENT.name} (a minute or two, once) ...", file=sys.stderr, flush=True)
    venv.create(ENVIRONMENT, with_pip=True)
    install_pins(PINS[0].read_text().splitlines())
    subprocess.check_call([*INSTALL, "--no-build-isolation", "--editable", str(ROOT)])
    done.write_text(digest)


def install_pins(pins: list[str]) -> None:
    """Install the lines of the lock in two processes: half of all bytes are TensorFlow's.

    The lock names every package, so none is looked for; pip comes first, because no process may
    replace the pip that another one is running.
    """
    pip = [pin for pin in pins if pin.startswith("pip==")]
    large = [pin for pin in pins if pin.startswith("tensorflow==")]
    others = [pin for pin in pins if pin not in (*pip, *large)]
    subprocess.check_call([*INSTALL, *pip])
    running = [subprocess.Popen([*INSTALL, *part]) for part in (large, others)]
    if any([process.wait() for process in running]):
        raise SystemExit("the packages of requirements.lock could not be installed, see above")


if __name__ == "__main__":
    sys.exit(main())
