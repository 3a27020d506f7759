"""A SLURM cluster of several nodes on this machine, for tests: one munged, one slurmctld, one slurmd a node.

It needs root, because steps of jobs look for /etc/slurm/slurm.conf. A configuration that is there already is
not touched; then this fails. Every server listens on 127.0.0.1 or a socket of its own, and ends with the
cluster.
"""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

SYSTEM = Path("/etc/slurm/slurm.conf")
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch")
_CONTROL, _FIRST = 16817, 16821  # ports
_CONF = """ClusterName=signloom
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={control}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
ReturnToService=2
SlurmdTimeout=20
KillWait=5
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=2
JobAcctGatherParams=OverMemoryKill
{nodes}
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


@dataclass
class Cluster:
    """A running cluster; `folder` has its files."""

    folder: Path
    names: list[str]
    _nodes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def conf(self) -> Path:
        """The configuration."""
        return self.folder / "slurm.conf"

    def start_node(self, name: str) -> None:
        """Start slurmd of the node `name` in a session of its own."""
        log = (self.folder / f"{name}.out").open("ab")
        self._nodes[name] = subprocess.Popen(
            ["slurmd", "-D", "-f", str(self.conf), "-N", name], stdout=log, stderr=log, start_new_session=True
        )

    def kill_node(self, name: str) -> None:
        """Kill slurmd of the node `name` and all that its jobs started, as a machine that loses power."""
        root = self._nodes.pop(name)
        steps = self._steps(name)
        for pid in [root.pid, *steps]:
            for one in (*_below(pid), pid):
                _kill(one)
        root.wait()

    def _steps(self, name: str) -> list[int]:
        """Return the step managers of a node; their sockets lie in its spool folder."""
        found = []
        for cmdline in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = cmdline.read_bytes().split(b"\0")
            except OSError:
                continue
            if words[0].startswith(b"slurmstepd"):
                maps = subprocess.run(
                    ["ls", "-l", f"/proc/{cmdline.parent.name}/fd"],
                    capture_output=True,
                    text=True,
                    check=False,
                ).stdout
                if f"slurmd-{name}.log" in maps:
                    found.append(int(cmdline.parent.name))
        return found

    def jobs(self) -> list[str]:
        """Return the ids of running jobs."""
        done = self.ask("squeue", "-h", "-t", "R", "-o", "%i")
        return done.split()

    def node_of(self, job: str) -> str:
        """Return the node of a running job, "" if it has ended."""
        return self.ask("squeue", "-h", "-j", job, "-o", "%N", ok=False).strip()

    def pids_of(self, job: str) -> list[int]:
        """Return the processes of a running job, its batch script and what it started."""
        listed = self.ask("scontrol", "listpids", job, self.node_of(job), ok=False)
        own = [line.split()[0] for line in listed.splitlines()[1:]]
        return [int(pid) for pid in own if pid.isdigit()]

    def ask(self, *command: str, ok: bool = True) -> str:
        """Return what a command of SLURM prints."""
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if ok and done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr}")
        return done.stdout


@contextmanager
def cluster(folder: Path, nodes: int = 2, cpus: int = 2, memory_mb: int = 9000) -> Iterator[Cluster]:
    """Start a cluster whose files are in the new `folder`, and end it."""
    if SYSTEM.exists() or SYSTEM.is_symlink():
        old = "" if SYSTEM.exists() else ", a link to a cluster that is gone: remove it"
        raise RuntimeError(f"{SYSTEM} exists{old}; a cluster for tests would take its place")
    (folder / "state").mkdir(parents=True)
    names = [f"n{number + 1}" for number in range(nodes)]
    lines = [
        f"NodeName={name} NodeHostname=localhost NodeAddr=127.0.0.1 Port={_FIRST + number} CPUs={cpus} "
        f"RealMemory={memory_mb} State=UNKNOWN"
        for number, name in enumerate(names)
    ]
    made = Cluster(folder.resolve(), names)
    made.conf.write_text(_CONF.format(folder=made.folder, control=_CONTROL, nodes="\n".join(lines)))
    (folder / "key").write_bytes(os.urandom(1024))
    (folder / "key").chmod(0o400)
    own = [f"--{name}={made.folder}/{file}" for name, file in _MUNGE.items()]
    servers: list[subprocess.Popen[bytes]] = []
    SYSTEM.parent.mkdir(parents=True, exist_ok=True)
    SYSTEM.symlink_to(made.conf)
    try:
        for command in (["munged", "-F", "--force", *own], ["slurmctld", "-D", "-f", str(made.conf)]):
            log = (folder / f"{command[0]}.out").open("ab")
            servers.append(subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True))
            time.sleep(1)
        for name in names:
            made.start_node(name)
        _wait_until_idle(made)
        yield made
    finally:
        for name in [*made._nodes]:
            made.kill_node(name)
        for server in reversed(servers):
            server.terminate()
            server.wait(30)
        SYSTEM.unlink()


_MUNGE = {
    "key-file": "key",
    "socket": "munge.sock",
    "pid-file": "munged.pid",
    "log-file": "munged.log",
    "seed-file": "munged.seed",
}


def _wait_until_idle(made: Cluster, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while made.ask("sinfo", "-h", "-N", "-o", "%t", ok=False).split() != ["idle"] * len(made.names):
        if time.monotonic() > end:
            raise RuntimeError(f"the nodes are not idle after {seconds:g} s; see the logs in {made.folder}")
        time.sleep(0.5)


def _below(pid: int) -> list[int]:
    """Return the processes that `pid` started, and those that these started."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    try:
        own = [int(child) for child in children.read_text().split()]
    except OSError:
        return []
    return [*(one for child in own for one in _below(child)), *own]


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return  # it has ended by itself
