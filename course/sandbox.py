"""What a student's process may do. Linux, without root; each limit is tried, and `apply` says which of them this system enforces.

    time      the grader's own clock kills the process and all that it started; RLIMIT_CPU stands behind it
    memory    RLIMIT_AS
    files     Landlock: reads Python's own folders and the package, writes nowhere but in its own folder; RLIMIT_FSIZE for one file,
              the grader measures the folder while it waits
    network   seccomp refuses sockets; a network name space with nothing in it; without either a guard inside Python
    processes seccomp refuses new ones and signals to others; a process name space, which dies with its first process; RLIMIT_NPROC
"""

import ctypes
import os
import resource
import signal
import sys
from pathlib import Path

NOBODY = 65534
MB = 1 << 20
CLONE = {"users": 0x10000000, "network": 0x40000000, "messages": 0x08000000, "processes": 0x20000000}
PDEATHSIG, DUMPABLE, NO_NEW_PRIVS = 1, 4, 38
READ = 1 << 2 | 1 << 3  # Landlock: read a file, list a folder. Not: execute
WRITE_BITS = {1: 1 << 1 | sum(1 << bit for bit in range(4, 13)), 2: 1 << 13, 3: 1 << 14}
CHANGES = ("os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.chmod", "os.truncate", "os.link", "os.symlink")
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
CALLS = {  # the machine's kind in seccomp; clone; socket; fork and the calls that send signals
    "x86_64": (0xC000003E, 56, 41, 57, 58, 62, 200, 234, 129, 297, 424),
    "aarch64": (0xC00000B7, 220, 198, 129, 130, 131, 138, 240, 424),
}
TASKS = 6  # processes and threads together

libc = ctypes.CDLL(None, use_errno=True) if sys.platform.startswith("linux") else None


class _Ruleset(ctypes.Structure):
    _fields_ = [("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scoped", ctypes.c_uint64)]


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = [("allowed", ctypes.c_uint64), ("folder", ctypes.c_int32)]


def readable(closed: tuple[str, ...] = ()) -> list[Path]:
    """What a student's process may read: Python, its packages, fonts, and this book's package but for the `closed` modules."""
    import minigpt

    package = Path(minigpt.__file__).parent
    places = {Path(sys.prefix), Path(sys.base_prefix) / "lib", Path(sys.base_prefix) / "lib64", *map(Path, sys.path[1:])}
    places |= {Path(p) for p in ("/usr/lib", "/usr/lib64", "/usr/share/fonts", "/usr/share/zoneinfo", "/lib", "/lib64",
                                 "/etc/fonts", "/etc/ld.so.cache", "/etc/localtime", "/proc/cpuinfo", "/proc/meminfo",
                                 "/sys/devices/system/cpu", "/dev/urandom", "/dev/null")}
    root = package.parent
    places = {place for place in places if place.resolve() != root.resolve() and place.exists()}
    shut = {f"{name.removeprefix('minigpt.')}.py" for name in closed}
    return sorted(places) + sorted(path for path in package.iterdir() if path.name not in shut and path.name != "__pycache__")


def landlock(read: list[Path], write: Path) -> int:
    """Allow reading below `read`, all but running programs below `write`, nothing else; Landlock's version, 0 without."""
    version = libc.syscall(444, None, ctypes.c_size_t(0), ctypes.c_uint32(1)) if libc else 0
    if version < 1:
        return 0
    writing = sum(bits for since, bits in WRITE_BITS.items() if version >= since)
    rules = _Ruleset(READ | 1 | writing, 3 if version >= 4 else 0, 3 if version >= 6 else 0)
    size = ctypes.c_size_t(24 if version >= 6 else 16 if version >= 4 else 8)
    ruleset = libc.syscall(444, ctypes.byref(rules), size, ctypes.c_uint32(0))
    if ruleset < 0:
        return 0
    for path, allowed in [*((path, READ) for path in read), (write, READ | writing), (Path("/dev/null"), 1 << 1 | 1 << 2)]:
        folder = os.open(path, os.O_PATH | os.O_CLOEXEC)
        rule = _Beneath(allowed if path.is_dir() else allowed & (1 << 1 | 1 << 2 | 1 << 14), folder)
        done = libc.syscall(445, ruleset, 1, ctypes.byref(rule), 0)
        os.close(folder)
        if done:
            return 0
    libc.prctl(NO_NEW_PRIVS, 1, 0, 0, 0)
    done = libc.syscall(446, ruleset, 0)
    os.close(ruleset)
    return 0 if done else version


def become_nobody(folder: Path) -> bool:
    """Give up root for good (a limit on processes does not bind root). True if this process is an ordinary user afterwards."""
    if os.geteuid() != 0:
        return True
    os.chown(folder, NOBODY, NOBODY)
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    if libc:
        libc.prctl(DUMPABLE, 1, 0, 0, 0)
    return True


def namespaces() -> set[str]:
    """Leave the machine's network, messages and processes behind; which of them could be left."""
    user, group = os.geteuid(), os.getegid()
    done = set()
    if libc is None:
        return done
    if libc.unshare(CLONE["users"]) == 0:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
        done.add("users")
    return done | {name for name in ("network", "messages", "processes") if libc.unshare(CLONE[name]) == 0}


def die_with_parent() -> None:
    """Be killed when the process that started this one ends."""
    if libc:
        libc.prctl(PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def limits(memory: int, seconds: int, file_size: int) -> None:
    """Resource limits: bytes of memory, seconds of processor time, bytes of one file; no core dumps."""
    for name, value in ((resource.RLIMIT_AS, memory), (resource.RLIMIT_CPU, seconds), (resource.RLIMIT_FSIZE, file_size),
                        (resource.RLIMIT_CORE, 0), (resource.RLIMIT_NPROC, TASKS), (resource.RLIMIT_NOFILE, 128)):
        resource.setrlimit(name, (value, value))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a file that grows too large is then an error in the cell that wrote it


class _Step(ctypes.Structure):
    _fields_ = [("code", ctypes.c_uint16), ("yes", ctypes.c_uint8), ("no", ctypes.c_uint8), ("value", ctypes.c_uint32)]


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_uint16), ("steps", ctypes.POINTER(_Step))]


def refuse_calls() -> bool:
    """Let the kernel refuse new processes, sockets but local ones, and signals to others, for root too; threads stay possible.

    False where it cannot be had. The filter reads the machine's kind, the call's number, and for two calls their first argument.
    """
    if libc is None or os.uname().machine not in CALLS:
        return False
    machine, clone, socket, *refused = CALLS[os.uname().machine]
    steps = [("load", 4, None, None), ("equal", machine, "next", "refuse"), ("load", 0, None, None)]
    steps += [("equal", number, "refuse", "next") for number in refused]
    steps += [("equal", 435, "unknown", "next"), ("equal", clone, "clone", "next"), ("equal", socket, "socket", "allow")]
    names = ("clone", None, "socket", None, "allow", "refuse", "unknown")
    at = {name: len(steps) + i for i, name in enumerate(names)}
    steps += [("load", 16, None, None), ("any", 0x10000, "allow", "refuse")]  # clone's flags say whether it makes a thread
    steps += [("load", 16, None, None), ("equal", 1, "allow", "refuse")]  # a local socket
    # clone3 hides its flags: refused as unknown, and the C library falls back on clone.
    steps += [("give", 0x7FFF0000, None, None), ("give", 0x00050001, None, None), ("give", 0x00050000 | 38, None, None)]
    code = {"load": 0x20, "equal": 0x15, "any": 0x45, "give": 0x06}

    def jump(here: int, label: str | None) -> int:
        return 0 if label in (None, "next") else at[label] - here - 1

    built = [_Step(code[what], jump(i, yes), jump(i, no), value) for i, (what, value, yes, no) in enumerate(steps)]
    program = _Program(len(built), (_Step * len(built))(*built))
    libc.prctl(NO_NEW_PRIVS, 1, 0, 0, 0)
    return libc.prctl(22, 2, ctypes.byref(program), 0, 0) == 0


def guard(folder: Path, network: bool, files: bool) -> None:
    """A guard inside Python where the system has none: it stops accidents, not somebody who looks for a way around it."""
    inside = str(folder.resolve())

    def hook(event: str, arguments: tuple) -> None:
        if network and event in ("socket.connect", "socket.bind", "socket.getaddrinfo", "socket.sendto"):
            raise PermissionError("no network while grading")
        if files and event in CHANGES:
            _within(arguments[0], inside)
        if files and event == "open" and isinstance(arguments[0], str | bytes) and arguments[2] & WRITING:
            _within(arguments[0], inside)
        if event in ("os.fork", "os.exec", "os.posix_spawn", "subprocess.Popen", "os.system"):
            raise PermissionError("no other processes while grading")

    sys.addaudithook(hook)


def _within(path, inside: str) -> None:
    path = os.path.realpath(os.fsdecode(path))
    if path != os.devnull and os.path.commonpath([path, inside]) != inside:
        raise PermissionError(f"no writing outside the working folder while grading: {path}")
