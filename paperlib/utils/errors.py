"""The one kind of failure that a user is meant to read."""

from __future__ import annotations

import errno

_CURES = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some of your quota",
    errno.EROFS: "work in a copy that can be written; PAPER_CACHE names another cache folder",
    errno.EACCES: "make it yours, or work in a copy; PAPER_CACHE names another cache folder",
    errno.ENOTDIR: "name another: a file has the name of its folder",
    errno.EEXIST: "name another: a file has the name of its folder",
    errno.EPERM: "make it yours, or work in a copy; PAPER_CACHE names another cache folder",
}


class PaperError(Exception):
    """Something the user can put right: one line that names the file and the cure.

    The command line prints the line without a traceback and exits with a non-zero code; a notebook
    shows it as it is.
    """

    def __init__(self, problem: str, cure: str = "") -> None:
        self.problem, self.cure = problem, cure
        super().__init__(f"{problem} — {cure}" if cure else problem)


def of_the_system(error: OSError) -> PaperError | None:
    """A full disk or a folder that cannot be written, as one line; None for any other error."""
    if error.errno not in _CURES:
        return None
    where = f"{error.filename}: " if error.filename else ""
    return PaperError(f"{where}{error.strerror or error}", _CURES[error.errno])
