"""Jobs that each misbehave in one way, and some that behave well."""

import ctypes
import os
import resource
import signal
import socket
import stat
import subprocess
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd

from observability.core.errors import UsageError
from observability.worker.job import Output


def echo(frames, arguments, files, report):
    report(0.5, "half")
    return Output(arguments, frames, files)


def hog(frames, arguments, files, report):
    kept = []
    while True:
        kept.append(bytearray(b"\x01") * 50_000_000)


def native_hog(frames, arguments, files, report):
    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    while True:
        place = libc.malloc(ctypes.c_size_t(50_000_000))
        if not place:
            os.write(2, b"terminate called after throwing an instance of 'std::bad_alloc'\n")
            os.abort()
        ctypes.memset(place, 1, 50_000_000)


def abort(frames, arguments, files, report):
    os.abort()


def segfault(frames, arguments, files, report):
    ctypes.string_at(0)


def leave(frames, arguments, files, report):
    os._exit(0)


def hang(frames, arguments, files, report):
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    while True:
        time.sleep(1)


def spin(frames, arguments, files, report):
    while True:
        pass


def flood_files(frames, arguments, files, report):
    place = 0
    while True:
        Path(f"f{place}").write_bytes(b"x")
        place += 1


def flood_bytes(frames, arguments, files, report):
    place = 0
    while True:
        with Path(f"f{place}").open("wb") as file:
            file.write(b"x" * 10_000_000)
        place += 1


def large_file(frames, arguments, files, report):
    with Path("large").open("wb") as file:
        while True:
            file.write(b"x" * 1_000_000)


def output(frames, arguments, files, report):
    while True:
        os.write(1, b"all work and no play\n" * 1000)


def pipe():
    """The pipe for progress, found in the same way as foreign code would find it."""
    return max(place for place in range(3, 64) if tried(lambda: os.fstat(place)) == "done" and stat.S_ISFIFO(os.fstat(place).st_mode))


def garbage(frames, arguments, files, report):
    descriptor = pipe()
    while True:
        os.write(descriptor, os.urandom(1000))


def endless_line(frames, arguments, files, report):
    descriptor = pipe()
    while True:
        os.write(descriptor, b"x" * 60000)


def endless_progress(frames, arguments, files, report):
    while True:
        report(0.1, "again")


def false_answer(frames, arguments, files, report):
    body = {"link": lambda: os.symlink("/etc/passwd", "answer.json"), "fifo": lambda: os.mkfifo("answer.json")}.get(arguments["how"])
    if body:
        try:
            body()
        except OSError:
            Path("answer.json").write_bytes(b"{")
    else:
        Path("answer.json").write_text(arguments["how"])
    os._exit(0)


def locked_folder(frames, arguments, files, report):
    Path("a/b").mkdir(parents=True)
    Path("a/b/c").write_text("x")
    os.mkdir("a/locked", 0)
    return Output()


def touch_outside(frames, arguments, files, report):
    """The effects of a job on a file that it may read and on one that it may not read, without opening either."""
    found = {}
    for name, path in arguments.items():
        found |= {
            f"{name} chmod": tried(lambda: os.chmod(path, 0o777)),
            f"{name} chown": tried(lambda: os.chown(path, os.getuid(), os.getgid())),
            f"{name} utime": tried(lambda: os.utime(path, (1, 1))),
            f"{name} setxattr": tried(lambda: os.setxattr(path, "user.mark", b"1")),
            f"{name} getxattr": tried(lambda: os.getxattr(path, "user.mark")),
            f"{name} stat": tried(lambda: os.stat(path)),
            f"{name} access": "done" if os.access(path, os.F_OK) else "no",
            f"{name} link": tried(lambda: os.link(path, "linked")),
        }
    return Output(found)


def tried(function):
    try:
        function()
    except OSError as error:
        return type(error).__name__
    return "done"


def reach_out(frames, arguments, files, report):
    libc = ctypes.CDLL(None, use_errno=True)
    other = arguments["other"]
    return Output(
        {
            "socket": tried(socket.socket),
            "unix": tried(lambda: socket.socket(socket.AF_UNIX)),
            "pair": tried(socket.socketpair),
            "io_uring": libc.syscall(425, 8, ctypes.byref((ctypes.c_char * 256)())),
            "fork": tried(os.fork),
            "program": tried(lambda: subprocess.run(["/bin/true"], check=True)),
            "kill": tried(lambda: os.kill(other, 0)),
            "kill_group": tried(lambda: os.kill(0, 0)),
            "raise_limit": tried(lambda: raised()),
            "outlive": libc.prctl(1, 0, 0, 0, 0),
            "secret": tried(lambda: Path(arguments["secret"]).read_text()),
            "passwords": tried(lambda: Path("/etc/passwd").read_text()),
            "environment": tried(lambda: Path(f"/proc/{other}/environ").read_bytes()),
            "write": tried(lambda: Path("/tmp/observability-should-not-be").write_text("x")),
            "own": tried(lambda: Path("mine").write_text("x")),
            "thread": threaded(),
            "token": os.environ.get("OBSERVABILITY_TOKEN", ""),
        }
    )


def raised():
    try:
        resource.setrlimit(resource.RLIMIT_DATA, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    except ValueError as error:
        raise OSError from error


def threaded():
    done = []
    thread = threading.Thread(target=lambda: done.append(1))
    thread.start()
    thread.join()
    return "done" if done else "no"


def fork_bomb(frames, arguments, files, report):
    while True:
        os.fork()


def thread_bomb(frames, arguments, files, report):
    while True:
        threading.Thread(target=time.sleep, args=(1000,)).start()


def wrong_use(frames, arguments, files, report):
    raise UsageError("the rows lack a feature", where="rows", got="a", expected="b", attempt="Give b")


def bug(frames, arguments, files, report):
    raise ZeroDivisionError("one over nothing")


def wait(frames, arguments, files, report):
    report(0.0, str(os.getpid()))
    time.sleep(arguments["seconds"])
    report(1.0, "waited")
    time.sleep(0.2)
    return Output({"pid": os.getpid()})


def large_table(frames, arguments, files, report):
    return Output(frames={"t": pd.DataFrame({"x": np.zeros(arguments["rows"])})})
