"""Get UC Merced's pictures and their 17 labels, check them, and lay them out for `ucmerced.read`.

The pictures come as their makers packed them, from a pinned mirror, else from the makers; the
labels from the site of those who gave them, as it was in one commit. The pictures are TIFF; those
behind `results/ucmerced` were JPEG copies, so that numbers made anew may differ a little.
"""

from __future__ import annotations

import errno
import hashlib
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pooch

from ..utils import files
from ..utils.errors import PaperError
from . import archive, split_of, ucmerced
from .label_file import LabelTable

PICTURES = (
    "https://hf.co/datasets/torchgeo/ucmerced/resolve/7c5ef3454d9b1cccfa7ccde0c01fc8f00a45909a/"
    "UCMerced_LandUse.zip",
    "http://weegee.vision.ucmerced.edu/datasets/UCMerced_LandUse.zip",
)
PICTURES_SHA256 = "06c539ef28703a58fb07bd2837991ac7c48b813b00bb12ac197efd813a18daeb"
LABELS = (
    "https://raw.githubusercontent.com/rsim-tu-berlin/bigearth.eu/"
    "a6617baba506644837865109ea3b80a3ab40fb31/assets/docs/multilabels.zip",
    "http://bigearth.eu/assets/docs/multilabels.zip",
)
#: Of the rows of training and validation chips, see `rows_digest`: what the package was made with.
ROWS_SHA256 = "e97c3e1040891e98f5ebc624ec6e6a9689af916449aeeab58d75e54056ba04e7"
KEPT_AS = "Images.zip"
WAIT = 30  # seconds for an answer, before the next address is tried


def fetch(target: str | Path, *, again: bool = False, progress: bool = True) -> Path:
    """Download, verify and lay out `LandUse_Multilabeled.txt` and `Images.zip` in `target`.

    target    folder to fill; made if it is not there
    again     download anew what is there
    progress  whether to show progress bars on stderr

    Returns `target`. What is there already is verified and kept. The label file is written last, so
    a folder that has one is complete. Raises `PaperError` that ends in the steps to do it by hand.
    """
    target = Path(target)
    kept, pictures = target / ucmerced.TABLE, target / KEPT_AS
    try:
        if kept.exists() and not again and (wrong := _wrong(kept)):
            raise PaperError(f"{kept} {wrong}", "name another folder")
        target.mkdir(parents=True, exist_ok=True)
        if pictures.exists() and not again and files.sha256(pictures) != PICTURES_SHA256:
            raise PaperError(f"{pictures} is not the published one", "name another folder")
        if again or not pictures.exists():  # what is there goes when the new one has come
            with tempfile.TemporaryDirectory(dir=target) as place:
                fresh = Path(place, KEPT_AS)
                _download(PICTURES, fresh, PICTURES_SHA256, progress)
                fresh.replace(pictures)
        if again or not kept.exists():
            with tempfile.TemporaryDirectory() as place, files.replacing(kept) as partial:
                packed = Path(place, "multilabels.zip")
                _download(LABELS, packed, None, progress)
                partial.write_bytes(_unpacked(packed))
                if wrong := _wrong(partial):
                    raise _failure(f"the {ucmerced.TABLE} that came {wrong}")
        lacking = ucmerced.read_table(kept).rows.keys() - archive.open_archive(
            pictures, ucmerced.SUFFIXES
        ).chips.keys()  # fmt: skip
        if lacking:
            raise _failure(f"{pictures} lacks {len(lacking):,} chips, {min(lacking)} among them")
    except OSError as error:
        full = "the disk is full" if error.errno == errno.ENOSPC else error.strerror or str(error)
        raise _failure(f"{target}: {full}") from None
    return target


def rows_digest(table: LabelTable) -> str:
    """sha256 over the rows of a label file but those of test chips, sorted."""
    rows = sorted(
        f"{n} {' '.join(tags)}" for n, tags in table.rows.items() if split_of(n) != "test"
    )
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()


def _wrong(path: Path) -> str:
    """What a label file has that the published one has not; `""` where it is that one."""
    table = ucmerced.read_table(path)
    if len(table.rows) != ucmerced.WHOLE or table.bad:
        said = f"{len(table.rows):,} usable rows of {ucmerced.WHOLE:,}"
        return f"is not the published label file: {said}"
    return "" if rows_digest(table) == ROWS_SHA256 else "has other labels than published"


def _download(addresses: Sequence[str], path: Path, sha256: str | None, progress: bool) -> None:
    """The file of the first address that has it, with this digest; kept where it is there."""
    failed = []
    pooch.get_logger().setLevel("ERROR")
    for address in addresses:
        try:
            pooch.retrieve(
                address,
                known_hash=sha256 and f"sha256:{sha256}",
                path=path.parent,
                fname=path.name,
                downloader=pooch.HTTPDownloader(progressbar=progress, timeout=WAIT),
            )
            return
        except (OSError, ValueError) as error:  # those of requests are OSErrors
            if getattr(error, "errno", None) == errno.ENOSPC:
                raise
            damaged = isinstance(error, ValueError)
            why = "the download is damaged" if damaged else _why(error)
            failed.append(f"{address.split('/')[2]}: {why}")
    raise _failure(f"{path.name} does not come ({'; '.join(failed)})")


def _why(error: Exception) -> str:
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status is not None:
        return f"answers {status}"
    if "Connection" in type(error).__name__ or "Timeout" in type(error).__name__:
        return "cannot be reached from here"
    return (str(error).splitlines() or [type(error).__name__])[0]


def _unpacked(packed: Path) -> bytes:
    """The label file's bytes, wherever the archive has it."""
    try:
        with zipfile.ZipFile(packed) as opened:
            for name in opened.namelist():
                if Path(name).name == ucmerced.TABLE and "__MACOSX" not in name:
                    return opened.read(name)
    except zipfile.BadZipFile:
        pass
    raise _failure(f"{LABELS[0].split('/')[2]} gave no archive with {ucmerced.TABLE}")


def _failure(problem: str) -> PaperError:
    return PaperError(problem, ucmerced.BY_HAND)
