"""Chips in a folder, a `.tar` or a `.zip`, found once and then read one by one without unpacking.

Nothing is ever written where a member's name says, yet an archive whose members would leave the
folder when unpacked is refused: it is not what the competition hands out.
"""

from __future__ import annotations

import hashlib
import os
import struct
import tarfile
import threading
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from ..utils.errors import PaperError

JPEG = ("jpg", "jpeg")
LARGEST = 64 << 20  # bytes of one chip; a Planet chip has 16 kB
_END = bytes(tarfile.BLOCKSIZE)


class BadChip(Exception):
    """Why one chip cannot be used; the reader adds its name, or skips it."""


class Member(NamedTuple):
    """Where one chip's bytes are: `offset` in a tar, by their name in a folder or zip."""

    name: str
    size: int
    offset: int = 0


@dataclass
class Archive:
    """The chips of one folder or archive.

    path     the folder or file
    kind     `"folder"`, `"tar"` or `"zip"`
    chips    chip name (no folder, no suffix) -> where its bytes are
    twice    chip name -> the members that claim it, where there are several (not in `chips`)
    suffixes of the files that are chips, in lower case
    others   names of files with another suffix, for the hint in an error
    cut      what is wrong with a tar that ends in the middle, else `""`
    """

    path: Path
    kind: str
    suffixes: tuple[str, ...] = JPEG
    chips: dict[str, Member] = field(default_factory=dict)
    twice: dict[str, list[str]] = field(default_factory=dict)
    others: set[str] = field(default_factory=set)
    cut: str = ""
    _handle: int = -1
    _zip: zipfile.ZipFile | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, member: Member) -> None:
        """File one member under its chip's name; what macOS adds and other files are left aside."""
        # PowerShell writes zips with the separators of Windows
        folders, _, name = member.name.replace("\\", "/").rpartition("/")
        if not name or name.startswith(".") or "__MACOSX" in folders:
            return
        stem, _, suffix = name.rpartition(".")
        if suffix.lower() not in self.suffixes:
            self.others.add(stem)
        elif stem in self.twice:
            self.twice[stem].append(member.name)
        elif stem in self.chips:
            self.twice[stem] = [self.chips.pop(stem).name, member.name]
        else:
            self.chips[stem] = member

    def __enter__(self) -> Archive:
        if self.kind == "zip":
            self._zip = zipfile.ZipFile(self.path)
        elif self.kind == "tar":
            self._handle = os.open(self.path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        return self

    def __exit__(self, *_: object) -> None:
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1
        if self._zip is not None:
            self._zip.close()
            self._zip = None

    def read(self, chip: str) -> bytes:
        """The bytes of one chip; safe to call from several threads. Raises `BadChip`."""
        member = self.chips[chip]
        if member.size > LARGEST:
            raise BadChip(f"has {member.size:,} bytes, more than any chip")
        if self.kind == "folder":
            try:
                return (self.path / member.name).read_bytes()
            except OSError as error:
                raise BadChip(f"cannot be read ({error.strerror})") from None
        if self.kind == "tar":
            data = self._pread(member.size, member.offset)
            if len(data) < member.size:
                raise BadChip(f"is cut off: {self.path.name} ends within it")
            return data
        return self._from_zip(member)

    def _pread(self, size: int, offset: int) -> bytes:
        try:
            if hasattr(os, "pread"):
                return os.pread(self._handle, size, offset)
            with self._lock:  # Windows has no call that moves and reads at once
                os.lseek(self._handle, offset, os.SEEK_SET)
                return os.read(self._handle, size)
        except OSError as error:
            raise BadChip(f"cannot be read from {self.path.name} ({error.strerror})") from None

    def _from_zip(self, member: Member) -> bytes:
        info = self._zip.getinfo(member.name)
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise BadChip(f"is packed in {self.path.name} in a way other than deflate")
        if info.compress_size > LARGEST:
            raise BadChip(f"has {info.compress_size:,} bytes, more than any chip")
        try:
            with self._zip.open(info) as packed:
                data = packed.read(member.size)  # no more than it claims, whatever is in there
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
            raise BadChip(f"is damaged in {self.path.name} ({error})") from None
        except OSError as error:
            raise BadChip(f"cannot be read from {self.path.name} ({error.strerror})") from None
        if len(data) != member.size:
            raise BadChip(f"is damaged in {self.path.name} (it is shorter than its index says)")
        return data


def open_archive(path: Path, suffixes: tuple[str, ...] = JPEG) -> Archive:
    """Find the chips of a folder, a `.tar` or a `.zip`.

    Raises `PaperError` for an archive that is none, is cut before its index, is encrypted, or holds
    a member that would leave the folder. A tar that ends in the middle is returned with what comes
    before the end and with `cut` set.
    """
    try:
        if path.is_dir():
            return _folder(Archive(path, "folder", suffixes))
        if path.suffix.lower() == ".zip":
            return _zip(Archive(path, "zip", suffixes))
        return _tar(Archive(path, "tar", suffixes))
    except PermissionError:
        raise PaperError(f"{path}: permission denied", "make it readable for you") from None
    except OSError as error:
        raise PaperError(f"{path}: {error.strerror or error}", "check the disk") from None


def _folder(archive: Archive) -> Archive:
    path = archive.path
    for prefix, entry in _files(path):
        try:
            size = entry.stat().st_size
        except OSError:  # a link to nothing: reading it says so
            size = 0
        archive.add(Member(prefix + entry.name, size))
    return archive


def _files(path: Path) -> Iterator[tuple[str, os.DirEntry]]:
    """The files of a folder and, since some archives unpack to train-jpg/train-jpg/, one below."""
    folders = [path]
    for folder in folders:
        with os.scandir(folder) as entries:
            for entry in sorted(entries, key=lambda e: e.name):
                if not entry.is_dir():
                    yield ("" if folder == path else f"{folder.name}/"), entry
                elif folder == path and entry.name[0] != "." and entry.name != "__MACOSX":
                    folders.append(path / entry.name)


def stamp(path: Path) -> str:
    """A hash that changes when a file does, by size, inode and times; no contents are read."""
    digest = hashlib.sha256(str(path.resolve()).encode())
    entries = _files(path) if path.is_dir() else [("", path)]
    for prefix, entry in entries:
        try:
            s = entry.stat()
        except OSError:
            continue
        digest.update(
            f"{prefix}{entry.name} {s.st_size} {s.st_ino} {s.st_mtime_ns} {s.st_ctime_ns}\n".encode(
                "utf-8", "surrogateescape"
            )
        )
    return digest.hexdigest()


def _tar(archive: Archive) -> Archive:
    path = archive.path
    last, at = "", -1
    places: dict[str, Member] = {}
    try:
        # "r:" refuses a compressed tar, whose members cannot be reached without unpacking it all
        with tarfile.open(path, "r:") as tar:
            for info in tar:
                if info.size < 0 or info.offset <= at:  # tarfile would go round in circles
                    raise tarfile.ReadError("a member lies before the one it follows")
                first = places.get(info.linkname) if info.islnk() else None
                _refuse_outside(path, info.name, link=not (info.isreg() or info.isdir() or first))
                last, at = info.name, info.offset
                if first:  # a hard link: the bytes of a member before it
                    archive.add(first._replace(name=info.name))
                elif info.isreg():
                    places[info.name] = Member(info.name, info.size, info.offset_data)
                    archive.add(places[info.name])
            end = tar.offset
        # tarfile takes any block that is no header for the end; the real end is a block of zeros
        with open(path, "rb") as handle:
            handle.seek(end)
            whole = handle.read(tarfile.BLOCKSIZE) == _END
    except (tarfile.TarError, ValueError, OverflowError) as error:
        if not last:
            empty = path.stat().st_size == 0
            why = "is empty" if empty else f"is not an uncompressed .tar ({error})"
            raise PaperError(f"{path} {why}", "copy or download it again, or unpack it") from None
        whole = False
    if not whole:
        archive.cut = f"{path} is cut off or damaged after {last}"
    return archive


def _zip(archive: Archive) -> Archive:
    path = archive.path
    try:
        with zipfile.ZipFile(path) as packed:
            for info in packed.infolist():
                kind = info.external_attr >> 28  # the file type of a Unix mode; 0o12 is a link
                _refuse_outside(path, info.orig_filename, link=kind not in (0, 0o4, 0o10))
                if info.flag_bits & 1:
                    raise PaperError(f"{path} is encrypted", "unpack it and give the folder")
                if not info.is_dir():
                    archive.add(Member(info.filename, info.file_size))
    except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error) as error:
        raise PaperError(
            f"{path} is cut off or is not a .zip ({error})", "copy or download it again"
        ) from None
    return archive


def _refuse_outside(path: Path, name: str, *, link: bool) -> None:
    """A member must be a plain file or folder below the archive's own folder."""
    parts = name.replace("\\", "/").split("/")
    outside = ".." in parts or parts[0] == "" or ":" in parts[0] or "\0" in name
    if outside or link:
        what = "is a link or a device" if link and not outside else "would leave the folder"
        raise PaperError(
            f"{path}: the member {name!r} {what}",
            "do not unpack this archive; get the chips from their makers (paper data fetch)",
        )
