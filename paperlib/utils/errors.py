"""The one kind of failure that a user is meant to read."""

from __future__ import annotations


class PaperError(Exception):
    """Something the user can put right: one line that names the file and the cure.

    The command line prints the line without a traceback and exits with a non-zero code; a notebook
    shows it as it is.
    """

    def __init__(self, problem: str, cure: str = "") -> None:
        self.problem, self.cure = problem, cure
        super().__init__(f"{problem} — {cure}" if cure else problem)
