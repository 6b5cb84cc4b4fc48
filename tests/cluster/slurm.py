"""A Slurm of one node on loopback, for tests: ``python tests/cluster/slurm.py FOLDER``, as root.

It needs Debian's packages: slurmd slurmctld slurm-client slurmdbd munge mariadb-server. Everything
it writes is in FOLDER, which the daemons must be able to enter; ``export SLURM_CONF=...`` is
printed. It ends, with its daemons, when its standard input closes.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

PROGRAMS = ("munged", "mariadbd", "mariadb-install-db", "slurmdbd", "slurmctld", "slurmd")
CONTROLLER = 27817
NODE = 27818
DATABASE = 27819
SLURM = """\
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={node}
SlurmUser=root
AuthInfo=socket={folder}/munge/socket
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
MpiDefault=none
ReturnToService=2
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=localhost
AccountingStoragePort={database}
AccountingStoragePass={folder}/munge/socket
SchedulerParameters=sched_interval=2,batch_sched_delay=0
KillWait=20
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} State=UNKNOWN
PartitionName=debug Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""
ACCOUNTING = """\
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort={database}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=slurm
LogFile={folder}/slurmdbd.log
PidFile={folder}/slurmdbd.pid
"""


def missing() -> str | None:
    """Return why there can be no Slurm here, or None."""
    if os.geteuid() != 0:
        return "a Slurm for tests is started by root"
    absent = [name for name in PROGRAMS if shutil.which(name) is None]
    return f"Debian's Slurm is not installed: no {absent[0]}" if absent else None


class Slurm:
    """The five daemons, in the foreground, as children of this process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.daemons = []
        self.environment = {
            **os.environ,
            "SLURM_CONF": str(folder / "slurm.conf"),
        }

    def start(self) -> None:
        """Start everything and wait until the node is idle."""
        self.write_configs()
        munge = self.folder / "munge"
        files = [f"--{name}-file={munge / name}" for name in ("key", "pid", "seed", "log")]
        self.daemon("munged", "--foreground", f"--socket={munge / 'socket'}", *files)
        self.start_database()
        self.daemon("slurmdbd", "-D")
        self.wait_for("sacctmgr -i add cluster tests")
        self.daemon("slurmctld", "-D", "-f", self.environment["SLURM_CONF"])
        self.daemon("slurmd", "-D", "-f", self.environment["SLURM_CONF"])
        self.wait_for("sinfo -h -o %t", lambda printed: printed.startswith("idle"))
        self.wait_for("sacct -n -X")

    def write_configs(self) -> None:
        """Write both configurations and munge's key."""
        self.folder.chmod(0o755)
        for name, mode in {"munge": 0o711, "state": 0o755, "spool": 0o755}.items():
            (self.folder / name).mkdir(exist_ok=True)
            (self.folder / name).chmod(mode)
        (self.folder / "munge" / "key").write_bytes(os.urandom(1024))
        (self.folder / "munge" / "key").chmod(0o600)
        known = {
            "host": socket.gethostname(), "folder": self.folder, "cpus": os.cpu_count(),
            "controller": CONTROLLER, "node": NODE, "database": DATABASE,
        }  # fmt: skip
        (self.folder / "slurm.conf").write_text(SLURM.format(**known))
        (self.folder / "slurmdbd.conf").write_text(ACCOUNTING.format(**known))
        (self.folder / "slurmdbd.conf").chmod(0o600)

    def start_database(self) -> None:
        """Start a MariaDB that listens on a socket alone."""
        data = self.folder / "database"
        data.mkdir(exist_ok=True)
        shutil.chown(data, "mysql")
        options = ["--no-defaults", "--user=mysql", f"--datadir={data}"]
        rights = ["--auth-root-authentication-method=socket", "--skip-test-db"]
        subprocess.run(["mariadb-install-db", *options, *rights], check=True, capture_output=True)
        (self.folder / "run").mkdir(exist_ok=True)
        shutil.chown(self.folder / "run", "mysql")
        sock = self.folder / "run" / "sock"
        self.environment["MYSQL_UNIX_PORT"] = str(sock)
        small = ["--skip-networking", "--innodb-buffer-pool-size=32M"]
        pid = f"--pid-file={self.folder / 'run' / 'pid'}"
        self.daemon("mariadbd", *options, *small, f"--socket={sock}", pid)
        sql = (
            "create database slurm_acct_db; create user slurm@localhost;"
            "grant all on slurm_acct_db.* to slurm@localhost"
        )
        client = ["mariadb", f"--socket={sock}"]
        self.wait_for(f"{' '.join(client)} -e select(1)")
        subprocess.run([*client, "-e", sql], check=True)

    def daemon(self, *command: str) -> None:
        """Start a daemon in the foreground; what it says is in a file of its name."""
        with (self.folder / f"{command[0]}.out").open("w") as out:
            self.daemons.append(
                subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                    env=self.environment, start_new_session=True,
                )
            )  # fmt: skip

    def wait_for(
        self, command: str, good: Callable[[str], bool] = lambda printed: True, seconds: int = 120
    ) -> None:
        """Repeat a command until it succeeds."""
        for _ in range(seconds * 2):
            done = subprocess.run(
                command.split(), capture_output=True, text=True, env=self.environment, check=False
            )
            if done.returncode == 0 and good(done.stdout):
                return
            time.sleep(0.5)
        raise RuntimeError(f"{command}: {done.stdout}{done.stderr}")

    def stop(self) -> None:
        """End the jobs, then the daemons, the last one first."""
        if len(self.daemons) > 3:
            subprocess.run(["scancel", "-u", "root"], env=self.environment, check=False)
        for daemon in reversed(self.daemons):
            daemon.terminate()
            try:
                daemon.wait(timeout=20)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()


if __name__ == "__main__":
    slurm = Slurm(Path(sys.argv[1]).resolve())
    try:
        slurm.start()
        print(f"export SLURM_CONF={slurm.environment['SLURM_CONF']}", flush=True)
        sys.stdin.read()
    finally:
        slurm.stop()
