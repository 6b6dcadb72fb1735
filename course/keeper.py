"""The parent of all student's processes. It imports torch once and forks a clean copy of itself for each submission.

It runs no line of a student's code and knows nothing secret, so that a copy of it starts with nothing to find. The grader talks to
it over one connection: {"start": settings} with a socket for the new process, {"end": number} to kill one with all that it started.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

from course import sandbox, worker


def isolate(settings: dict) -> dict:
    """Lock this process up; which limits hold. It becomes the watcher of the process that it returns in."""
    folder, closed = Path(settings["folder"]), tuple(settings["closed"])
    os.setsid()
    read = sandbox.readable(closed)
    held = {"user": sandbox.become_nobody(folder) if settings["nobody"] else os.geteuid() != 0}
    spaces = sandbox.namespaces()
    inner = os.fork()
    if inner:
        sandbox.die_with_parent()
        for other in range(3, 64):
            try:
                os.close(other)
            except OSError:
                pass
        os._exit(os.waitpid(inner, 0)[1] and 1)
    sandbox.die_with_parent()
    os.chdir(folder)
    out = os.open(folder / "printed", os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    null = os.open(os.devnull, os.O_RDONLY)
    for target, source in ((0, null), (1, out), (2, out)):
        os.dup2(source, target)
    sandbox.limits(settings["memory"], settings["seconds"], settings["file_size"])
    version = sandbox.landlock(read, folder)
    filtered = sandbox.refuse_calls()
    held |= {"processes": filtered or ("processes" in spaces and held["user"]), "signals": filtered or "processes" in spaces}
    held |= {"network": filtered or "network" in spaces, "files": version > 0}
    sandbox.guard(folder, network=not held["network"], files=not held["files"])
    return held


def start(settings: dict, sock: socket.socket, control: socket.socket) -> int:
    """Fork a student's process; its number."""
    number = os.fork()
    if number:
        sock.close()
        return number
    try:
        control.close()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        try:
            held = isolate(settings)
        except OSError as error:
            worker.Line(sock).send(failed=str(error))
        else:
            worker.Line(sock).send(held=held)
            worker.serve(sock, settings["closed"])
    finally:
        os._exit(1)


def main(descriptor: int) -> None:
    """Answer the grader until it hangs up."""
    sandbox.die_with_parent()
    import IPython.core.inputtransformer2  # noqa: F401

    import minigpt  # noqa: F401  (and with it torch: loaded once, here)

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    control = socket.socket(fileno=descriptor)
    while True:
        text, passed, _, _ = socket.recv_fds(control, 1 << 16, 1)
        if not text:
            return
        message = json.loads(text)
        if "start" in message:
            reply = start(message["start"], socket.socket(fileno=passed[0]), control)
        else:
            os.kill(message["end"], signal.SIGKILL)
            reply = os.waitpid(message["end"], 0)[1]
        control.sendall(json.dumps(reply).encode() + b"\n")


class Keeper:
    """The grader's side: starts student's processes and ends them. Use it in a `with`."""

    def __init__(self, folder: Path):
        self.folder, self._lock, self._made = Path(folder), threading.Lock(), 0
        self._control, theirs = socket.socketpair()
        kept = {key: os.environ[key] for key in ("PATH", "LANG", "LC_ALL", "VIRTUAL_ENV", "LD_LIBRARY_PATH") if key in os.environ}
        quiet = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MPLBACKEND": "Agg", "HF_HUB_OFFLINE": "1",
                 "HOME": "/nonexistent", "MPLCONFIGDIR": ".", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0", "TMPDIR": "."}
        root = Path(__file__).resolve().parents[1]
        self._process = subprocess.Popen([sys.executable, "-m", "course.keeper", str(theirs.fileno())], cwd=root, env=kept | quiet,
                                         pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
        theirs.close()
        self._answers = self._control.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._control.close()
        self._answers.close()
        self._process.wait()

    def _ask(self, message: dict, *passed: socket.socket) -> int:
        with self._lock:
            socket.send_fds(self._control, [json.dumps(message).encode()], [s.fileno() for s in passed])
            answer = self._answers.readline()
        if not answer:
            raise RuntimeError("the keeper of the student's processes has ended; its message stands above")
        return json.loads(answer)

    def start(self, **settings) -> tuple[int, socket.socket, Path]:
        """A new student's process: its number, the connection with it, its folder."""
        with self._lock:
            self._made += 1
            folder = self.folder / f"{self._made:06d}"
        folder.mkdir()
        ours, theirs = socket.socketpair()
        number = self._ask({"start": settings | {"folder": str(folder)}}, theirs)
        theirs.close()
        return number, ours, folder

    def end(self, number: int, sock: socket.socket, folder: Path) -> None:
        """Kill a student's process and all that it started, and remove its folder."""
        sock.close()
        self._ask({"end": number})
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
