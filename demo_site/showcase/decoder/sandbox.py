"""What the decoder gives up before it sees a stranger's bytes: files, network, children, others.

Linux only, each layer where the kernel has it; `close` says which are missing. All that is read
lazily (libraries, tables of projections) must have been read before.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct

_NEWUSER, _NEWNET, _NEWIPC = 0x10000000, 0x40000000, 0x08000000
_DUMPABLE, _SECCOMP, _NO_NEW_PRIVILEGES = 4, 22, 38  # of prctl
_THREAD = 0x00010000  # of clone: not a process
#: Landlock: system calls (the same on every machine), and the rights that each version added.
_CREATE, _RESTRICT = 444, 446
_FILES = {1: 0x1FFF, 2: 0x3FFF, 3: 0x7FFF, 4: 0x7FFF}
_ALL_FILES, _NETWORK, _SCOPES = 0xFFFF, 0x3, 0x3

#: System calls that nothing here needs once everything is read: they answer "not permitted".
_REFUSED = {
    "x86_64": (0xC000003E, 56, (
        2, 257, 437, 85, 87, 263, 82, 264, 316, 83, 258, 84, 86, 265, 88, 266, 76, 90, 268, 92, 260,
        41, 53, 49, 50, 43, 288, 42, 57, 58, 59, 322, 62, 101, 310, 311, 165, 272, 308, 321, 298,
        425, 434, 438, 319, 248, 250, 323, 29, 30, 68, 64, 240, 133, 161, 155,
    )),
    "aarch64": (0xC00000B7, 220, (
        56, 437, 35, 38, 276, 34, 37, 36, 45, 53, 54, 198, 199, 200, 201, 202, 242, 203, 221, 281,
        129, 117, 270, 271, 40, 97, 268, 280, 241, 425, 434, 438, 279, 217, 219, 282, 194, 196, 186,
        190, 180, 33, 51, 41,
    )),
}  # fmt: skip
_CLONE3 = 435


def leave() -> list[str]:
    """A user and network namespace of its own; first of all, since threads forbid it."""
    libc = _libc()
    if libc is None or libc.unshare(_NEWUSER | _NEWNET | _NEWIPC):
        return ["namespace"]
    return []


def close() -> list[str]:
    """Refuse files, sockets and processes from now on; the names of the layers that are missing."""
    libc = _libc()
    if libc is None:
        return ["landlock", "seccomp"]
    libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    libc.prctl(_DUMPABLE, 0, 0, 0, 0)
    layers = {"landlock": _landlock, "seccomp": _seccomp}
    return [name for name, step in layers.items() if not step(libc)]


def hide() -> None:
    """For the parent: no child may read its memory or environment, whoever it runs as."""
    if (libc := _libc()) is not None:
        libc.prctl(_DUMPABLE, 0, 0, 0, 0)


def _libc():
    if platform.system() != "Linux":
        return None
    return ctypes.CDLL(None, use_errno=True)


def _landlock(libc) -> bool:
    """A set of rules that allows nothing: no file can be opened, made or removed."""
    version = libc.syscall(_CREATE, None, 0, 1)
    if version < 1:
        return False
    rights = [_FILES.get(version, _ALL_FILES)]
    rights += [_NETWORK] if version >= 4 else []
    rights += [_SCOPES] if version >= 6 else []
    rules = struct.pack(f"={len(rights)}Q", *rights)
    made = libc.syscall(_CREATE, rules, len(rules), 0)
    if made < 0:
        return False
    try:
        return libc.syscall(_RESTRICT, made, 0) == 0
    finally:
        os.close(made)


def _seccomp(libc) -> bool:
    """A filter of system calls: threads may be made, processes not."""
    if platform.machine() not in _REFUSED or struct.calcsize("P") != 8:
        return False
    machine, clone, refused = _REFUSED[platform.machine()]
    load, equal, any_bit, answer = 0x20, 0x15, 0x45, 0x06
    allow, refuse, unknown = 0x7FFF0000, 0x00050000 | 1, 0x00050000 | 38  # EPERM, ENOSYS
    # Each step: code, how many to skip where it holds, where it does not, and its number.
    steps = [(load, 0, 0, 4), (equal, 1, 0, machine), (answer, 0, 0, 0x80000000), (load, 0, 0, 0)]
    # The x32 calls of the same kernel have numbers of their own.
    steps += [(0x35, 0, 1, 0x40000000), (answer, 0, 0, refuse)]
    steps += [(equal, 0, 1, _CLONE3), (answer, 0, 0, unknown)]  # then libraries fall back to clone
    for number in refused:
        steps += [(equal, 0, 1, number), (answer, 0, 0, refuse)]
    steps += [(equal, 0, 3, clone), (load, 0, 0, 16), (any_bit, 1, 0, _THREAD)]
    steps += [(answer, 0, 0, refuse), (answer, 0, 0, allow)]
    code = b"".join(struct.pack("=HBBI", *step) for step in steps)
    kept = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("=H6xQ", len(steps), ctypes.addressof(kept))
    return libc.prctl(_SECCOMP, 2, ctypes.create_string_buffer(program), 0, 0) == 0
