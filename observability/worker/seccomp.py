"""Deny system calls to a job with a seccomp filter, which is set through ctypes without privileges.

Denied: sockets (also through io_uring), new processes and programs (threads are allowed), signals to and memory of other processes, raised
limits, anonymous files outside the limits, System V memory and queues, namespaces and keys, and changes of modes, owners, times and
extended attributes of any file, which Landlock does not know. A denied call fails with EPERM, and the job continues. Numbers of calls are
from the kernel's tables for x86_64 and aarch64. On other processors there is no filter, and `block_system_calls` returns False.
"""

import ctypes
import errno
import os
import platform
import struct
import sys

ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
DENIED = {
    # name: (x86_64, aarch64), None where the architecture has no such call
    "socket": (41, 198), "connect": (42, 203), "accept": (43, 202), "sendto": (44, 206), "recvfrom": (45, 207), "sendmsg": (46, 211),
    "recvmsg": (47, 212), "bind": (49, 200), "listen": (50, 201), "socketpair": (53, 199), "accept4": (288, 242), "recvmmsg": (299, 243),
    "sendmmsg": (307, 269), "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    "fork": (57, None), "vfork": (58, None), "execve": (59, 221), "execveat": (322, 281), "setsid": (112, 157), "setpgid": (109, 154),
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272), "tkill": (200, 130),
    "rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240), "pidfd_open": (434, 434), "pidfd_send_signal": (424, 424),
    "pidfd_getfd": (438, 438), "setrlimit": (160, 164), "setpriority": (141, 140), "memfd_create": (319, 279), "memfd_secret": (447, 447),
    "shmget": (29, 194), "shmat": (30, 196), "msgget": (68, 186), "semget": (64, 190), "mq_open": (240, 180), "unshare": (272, 97),
    "setns": (308, 268), "mount": (165, 40), "umount2": (166, 39), "chroot": (161, 51), "pivot_root": (155, 41), "add_key": (248, 217),
    "request_key": (249, 218), "keyctl": (250, 219), "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282),
    "fanotify_init": (300, 262), "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265),
    "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452), "chown": (92, None), "fchown": (93, 55),
    "lchown": (94, None), "fchownat": (260, 54), "utime": (132, None), "utimes": (235, None), "futimesat": (261, None),
    "utimensat": (280, 88), "setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7), "getxattr": (191, 8), "lgetxattr": (192, 9),
    "fgetxattr": (193, 10), "listxattr": (194, 11), "llistxattr": (195, 12), "flistxattr": (196, 13), "removexattr": (197, 14),
    "lremovexattr": (198, 15), "fremovexattr": (199, 16), "setxattrat": (463, 463), "getxattrat": (464, 464), "listxattrat": (465, 465),
    "removexattrat": (466, 466), "file_getattr": (468, 468), "file_setattr": (469, 469), "mknod": (133, None), "mknodat": (259, 33),
}  # fmt: skip
CHECKED = {"clone": (56, 220), "clone3": (435, 435), "kill": (62, 129), "tgkill": (234, 131), "prctl": (157, 167), "prlimit64": (302, 261)}
"""Calls that are denied depending on their arguments."""

LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
ALLOW, KILL = 0x7FFF0000, 0x80000000
DENY, ABSENT = 0x00050000 | errno.EPERM, 0x00050000 | errno.ENOSYS
NUMBER, ARCHITECTURE = 0, 4
X32, CLONE_THREAD, SET_PARENT_DEATH_SIGNAL = 0x40000000, 0x00010000, 1
NO_NEW_PRIVILEGES, GET_SECCOMP, SET_SECCOMP, FILTER = 38, 21, 22, 2


def _argument(place: int, high: bool = False) -> int:
    """Offset of a call's argument in the filter's data (both architectures are little-endian)."""
    return 16 + 8 * place + 4 * high


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    """One instruction of the filter."""
    return struct.pack("=HBBI", code, if_true, if_false, value)


def filter_program(machine: str, process: int) -> bytes:
    """The filter for one architecture and one process id."""
    place = list(ARCHITECTURES).index(machine)

    def end(answer: int) -> bytes:
        return _step(RETURN, answer)

    def is_null(offset: int) -> list[bytes]:
        return [_step(LOAD, offset), _step(EQUAL, 0, 1, 0), end(DENY)]

    parts = [_step(LOAD, ARCHITECTURE), _step(EQUAL, ARCHITECTURES[machine], 1, 0), end(KILL), _step(LOAD, NUMBER)]
    if machine == "x86_64":
        parts += [_step(AT_LEAST, X32, 0, 1), end(DENY)]
    for numbers in DENIED.values():
        number = numbers[place]
        if number is not None:
            parts += [_step(EQUAL, number, 0, 1), end(DENY)]
    own = [_step(LOAD, _argument(0)), _step(EQUAL, process, 0, 1), end(ALLOW), end(DENY)]
    tests = {
        # clone without CLONE_THREAD starts a new process. clone3 hides its flags from a filter; ENOSYS makes libc use clone.
        "clone": [_step(LOAD, _argument(0)), _step(ANY_BIT, CLONE_THREAD, 0, 1), end(ALLOW), end(DENY)],
        "clone3": [end(ABSENT)],
        "kill": own,
        "tgkill": own,
        "prctl": [_step(LOAD, _argument(0)), _step(EQUAL, SET_PARENT_DEATH_SIGNAL, 0, 1), end(DENY), end(ALLOW)],
        # Reading limits is allowed: the pointer to new limits is null.
        "prlimit64": [*is_null(_argument(2)), *is_null(_argument(2, high=True)), end(ALLOW)],
    }
    for name, test in tests.items():
        parts += [_step(EQUAL, CHECKED[name][place], 0, len(test)), *test]
    return b"".join([*parts, end(ALLOW)])


class _Program(ctypes.Structure):
    """The C structure `sock_fprog`."""

    _fields_ = [("length", ctypes.c_ushort), ("steps", ctypes.c_void_p)]


def seccomp_available() -> bool:
    """Whether this system has filters of system calls that `block_system_calls` can set."""
    if not sys.platform.startswith("linux") or platform.machine() not in ARCHITECTURES or sys.byteorder != "little":
        return False
    return bool(ctypes.CDLL(None).prctl(GET_SECCOMP, 0, 0, 0, 0) >= 0)


def block_system_calls() -> bool:
    """Set the filter for this process permanently; False if the system has no filters. Call it while there is only one thread."""
    if not seccomp_available():
        return False
    machine = platform.machine()
    libc = ctypes.CDLL(None, use_errno=True)
    steps = filter_program(machine, os.getpid())
    buffer = ctypes.create_string_buffer(steps, len(steps))
    filters = _Program(len(steps) // 8, ctypes.addressof(buffer))
    zero = ctypes.c_ulong(0)
    if libc.prctl(NO_NEW_PRIVILEGES, ctypes.c_ulong(1), zero, zero, zero) != 0:
        return False
    return bool(libc.prctl(SET_SECCOMP, ctypes.c_ulong(FILTER), ctypes.byref(filters), zero, zero) == 0)
