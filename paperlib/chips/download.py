"""Get the Planet chips from Kaggle, check them, and lay them out as `planet.read` wants them.

The competition hands out the label file to whoever has accepted its rules; its file list has lacked
the chips for years, so those come from the public mirror, pinned to one version. Only two functions
of kagglehub are used, `competition_download` and `dataset_download`; both keep what they fetched
and go on where a broken download stopped.
"""

from __future__ import annotations

import errno
import hashlib
import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import kagglehub
from tqdm import tqdm

from ..labels import PUBLISHED_CHIPS
from ..utils import files
from ..utils.errors import PaperError
from . import archive, jpeg, reader
from .archive import BadChip
from .label_file import LabelTable, read_table
from .planet import CONTAINERS, TABLES

COMPETITION = "planet-understanding-the-amazon-from-space"
MIRROR = "nikitarom/planets-dataset/versions/3"
TABLE_SHA256 = "fc9e60abeaa6d4c28cc162154d7583bdf570f88fe12656865e5cf2b472a07840"
ROWS = PUBLISHED_CHIPS
SIDE = 256  # pixels of a chip as Planet made it


def fetch(target: str | Path, *, again: bool = False, progress: bool = True) -> Path:
    """Download, verify and lay out `train_v2.csv` and `train-jpg.tar` in `target`.

    target    folder to fill; made if it is not there
    again     download anew what kagglehub has kept, after a damaged download
    progress  whether to show progress bars on stderr

    Returns `target`. A layout that is there already is verified and kept. The label file is written
    last, so a folder that has one is complete. Raises `PaperError` that ends in the steps to do it
    by hand.
    """
    target = Path(target)
    kept, chips = target / TABLES[0], target / CONTAINERS[1]
    try:
        if kept.exists() and files.sha256(kept) != TABLE_SHA256:
            raise PaperError(f"{kept} is there with other contents", "name another folder")
        if kept.exists() and chips.exists():
            table = read_table(kept)
            if not archive.open_archive(chips).chips.keys() >= table.rows.keys():
                raise _failure(f"{chips} lacks chips; delete it and fetch again", target)
            return target
        if chips.exists() and not again and not kept.exists():
            cure = "name another folder; --again writes it anew"
            raise PaperError(f"{chips} is there without {kept.name}", cure)
        download = _call(target, kagglehub.competition_download, COMPETITION, force_download=again)
        folders = [download]
        found = _container(download)
        if found is None:
            download = _call(target, kagglehub.dataset_download, MIRROR, force_download=again)
            folders.append(download)
            found = _container(download)
        if found is None:
            raise _failure(f"{download} holds no train-jpg", target)
        text = _table(folders, target)
        with files.replacing(kept) as partial:
            partial.write_bytes(text)
            table = read_table(partial)
            if len(table.rows) != ROWS or table.bad:
                raise _failure(f"train_v2.csv has {len(table.rows):,} rows, not {ROWS:,}", target)
            _pack(found, chips, table, target, progress)
    except OSError as error:
        full = "the disk is full" if error.errno == errno.ENOSPC else error.strerror or str(error)
        raise _failure(f"{target}: {full}", target) from None
    return target


def _call(target: Path, download: Callable[..., str], handle: str, **how: bool) -> Path:
    """One of kagglehub's functions; whatever goes wrong there becomes one line with the steps."""
    try:
        return Path(download(handle, **how))
    except KeyboardInterrupt:
        raise
    except Exception as error:  # kagglehub passes on errors of requests, urllib3 and its own
        raise _failure(f"{handle}: {_why(error)}", target) from error


def _why(error: Exception) -> str:
    kind = type(error).__name__
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status in (401, 403):
        return "Kaggle refuses: the competition's rules are not accepted, or the account is not"
    if status == 404:
        return "Kaggle no longer has it"
    if kind in ("UnauthenticatedError", "CredentialError"):
        return "there are no Kaggle credentials on this machine"
    if kind == "DataCorruptionError" or isinstance(error, zipfile.BadZipFile | tarfile.TarError):
        return "the download is damaged; try once more with --again"
    if getattr(error, "errno", None) == errno.ENOSPC:
        return "the disk is full; kagglehub keeps downloads in ~/.cache/kagglehub"
    if isinstance(error, ConnectionError | TimeoutError) or "Connection" in kind or "Time" in kind:
        return "Kaggle cannot be reached from here; the same command goes on where it stopped"
    return f"{kind}: {(str(error).splitlines() or ['no reason given'])[0]}"


def _failure(problem: str, target: Path) -> PaperError:
    return PaperError(
        problem,
        f"by hand: (1) sign in at https://www.kaggle.com, accept the rules at "
        f"https://www.kaggle.com/c/{COMPETITION}/rules and, for this command, create an API token "
        f"in your account's settings; (2) download train_v2.csv from the competition's data page, "
        f"and planet/planet/train-jpg from "
        f"https://www.kaggle.com/datasets/{MIRROR.split('/versions')[0]} (version 3); "
        f"(3) put both into {target}; (4) run paper data check {target}",
    )


def _container(folder: Path) -> Path | None:
    """The folder or archive of the chips, at most two folders down."""
    for pattern in ("", "*/", "*/*/"):
        for name in CONTAINERS:
            for path in sorted(folder.glob(pattern + name)):
                if path.is_file() or any(path.iterdir()):
                    return path
    return None


def _table(folders: list[Path], target: Path) -> bytes:
    """The label file's bytes: of the files that may be it, the one with the published hash."""
    seen = 0
    for folder in folders:
        for name in TABLES:
            for path in sorted([*folder.rglob(name), *folder.rglob(f"{name}.zip")]):
                seen += 1
                data = path.read_bytes()
                if path.suffix == ".zip":
                    try:
                        with zipfile.ZipFile(io.BytesIO(data)) as packed:
                            data = packed.read(name)
                    except (zipfile.BadZipFile, KeyError):
                        continue
                if hashlib.sha256(data).hexdigest() == TABLE_SHA256:
                    return data
    what = "is not the published one (its sha256 differs)" if seen else "did not come"
    raise _failure(f"{COMPETITION}: train_v2.csv {what}", target)


def _pack(found: Path, chips: Path, table: LabelTable, target: Path, progress: bool) -> None:
    """Write the chips that the label file names to one `.tar`, each looked at on the way.

    One file is quicker to read and to copy than forty thousand, and is there whole or not at all.
    """
    bar = tqdm(table.rows, desc="chips: packing", unit="chip", disable=not progress)
    bad: list[tuple[str, str]] = []
    with archive.open_archive(found) as source, files.replacing(chips) as partial:
        with tarfile.open(partial, "w", format=tarfile.USTAR_FORMAT) as packed:
            for name in bar:
                try:
                    if name not in source.chips:
                        raise BadChip("did not come")
                    data = source.read(name)
                    if jpeg.header(data)[:2] != (SIDE, SIDE):
                        raise BadChip(f"is not {SIDE}×{SIDE} pixels")
                except BadChip as error:
                    bad.append((name, str(error)))
                    continue
                member = tarfile.TarInfo(f"train-jpg/{name}.jpg")
                member.size = len(data)
                packed.addfile(member, io.BytesIO(data))
        if bad:
            said = reader.in_words(bad, len(table.rows))
            raise _failure(f"{found}: {said}; try once more with --again", target)
