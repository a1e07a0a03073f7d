"""The members of a zip archive, with the limits of `process` counted while they are unpacked."""

from __future__ import annotations

import io
import stat
import zipfile

from .images import Refused, sniff


def members(data: bytes, most: dict):
    """Yield `(position, name, reason, bytes)` of an archive's files; sizes are counted.

    Nothing is ever written under a member's name, so one that climbs out of the folder could do no
    harm; it is refused all the same, since no honest archive holds one.
    """
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = [entry for entry in archive.infolist() if not ignored(entry)]
        if len(entries) > most["members"]:
            raise Refused("too_many_members")
        total, ceiling = 0, min(most["unpacked"], most["ratio"] * max(len(data), 1))
        why = "bomb" if ceiling < most["unpacked"] else "unpacked"
        if sum(entry.file_size for entry in entries) > ceiling:
            raise Refused(why)
        for position, entry in enumerate(entries):
            name = entry.filename
            parts = name.replace("\\", "/").split("/")
            if ".." in parts or name.startswith(("/", "\\")) or ":" in parts[0]:
                yield position, name, "climbs", b""
            elif stat.S_ISLNK(entry.external_attr >> 16):
                yield position, name, "link", b""
            elif entry.flag_bits & 1:
                yield position, name, "encrypted", b""
            elif entry.file_size > most["file_bytes"]:
                yield position, name, "too_large", b""
            else:
                reason, content = "", b""
                try:
                    with archive.open(entry) as handle:
                        content = handle.read(most["file_bytes"] + 1)
                except (zipfile.BadZipFile, EOFError, OSError, NotImplementedError, RuntimeError):
                    reason = "broken"
                except Exception as error:  # zlib.error, lzma.LZMAError …
                    reason = "broken" if "rror" in type(error).__name__ else "unreadable"
                total += len(content)  # what it says of itself may be a lie
                if len(content) > most["file_bytes"]:
                    reason, content = "too_large", b""
                if total > ceiling:
                    raise Refused(why)
                if not reason and not sniff(content):  # it would be stored for nothing
                    reason, content = "not_a_picture" if content else "truncated", b""
                yield position, name, reason, content


def ignored(entry: zipfile.ZipInfo) -> bool:
    """Folders, and what systems put beside pictures."""
    parts = entry.filename.replace("\\", "/").split("/")
    return entry.is_dir() or parts[0] == "__MACOSX" or parts[-1].lower() in (
        "", ".ds_store", "thumbs.db", "desktop.ini",
    )  # fmt: skip
