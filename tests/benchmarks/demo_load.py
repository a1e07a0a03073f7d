"""The showcase under load, in parts of less than two minutes each.

    python tests/benchmarks/demo_load.py [PART …] [--chips 100000] [--batch 500] [--visitors 50]
                                         [--write]

    start     `paper demo` on an empty folder, with the examples it has by itself
    first     the first result of a batch after the end of its upload, 5 chips and 500
    overhead  a batch of 500 chips against the predictor alone on the same files
    kinds     the same for Planet's four-component JPEGs, progressive ones, and PNG
    gallery   pages at 100,000 chips, gunicorn on one core alone
    visitors  50 visitors at 100,000 chips while batches of 500 are sent and run

"Working within 10 s of start" is counted from before the command's own process begins (Python,
migrations and static files are in it, the installation is not) until the first page answers, until
a worker has loaded the model, and until the first labelled example stands in the gallery. All of
the examples take longer; that has no target.

`--write` keeps what was measured, with the day, the machine and the model, in
`demo_site/speed.json`, part by part; `make readme` shows it in demo_site/README.md.

Real processes: gunicorn with one process, one worker, SQLite, the released model, generated scenes
as JPEG. Prints one line per target of the showcase's issue, measured beside what it should be; the
exit code is 1 where a target was missed.

Two readings of "overhead", both against `predict_files` (read, decode, shrink, predict, with the
threads that suit it best) on the same files from disk: *wait* is the time from the end of the
upload until the batch is done, which is what a visitor sees; *work* is the same for a batch whose
files all come in one form, so that nothing can be done before the last has arrived. Each is given
by the clock and in processor time (`overhead` says what is counted), as least and median.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import re
import sqlite3
import subprocess
import sys
import tempfile
import time
from datetime import date, datetime, timedelta
from pathlib import Path

import httpx
import numpy as np
import psutil

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/demo"), str(ROOT / "demo_site")]

import pictures  # noqa: E402
from real_site import RealSite, wait_for  # noqa: E402

FILL = """
import django, os, shutil, sys; django.setup()
from datetime import timedelta
from pathlib import Path
import numpy as np
from django.conf import settings
from django.utils import timezone
from paperlib.labels import LABELS, PUBLISHED_COUNTS
from showcase import storage
from showcase.models import Batch, Chip, ModelVersion, Placement, Prediction, Upload
count = int(sys.argv[1]); rng = np.random.default_rng(0); now = timezone.now()
share = np.array([PUBLISHED_COUNTS[n] for n in LABELS]) / 40479
masks = ((rng.random((count, 17)) < share) << np.arange(17)).sum(axis=1)
sure = rng.random(count); said = rng.random((count, 17), np.float32)
model = ModelVersion.current()
thumb = storage.chip_copy("aa", "thumb")
storage.write(thumb, open(sys.argv[2], "rb").read())
root = Path(settings.MEDIA_ROOT)
for start in range(0, count, 500):  # one picture of 500 chips in each batch
    part = range(start, min(start + 500, count))
    chips = Chip.objects.bulk_create(Chip(sha256=f"{i:064d}", name=f"chip_{i}", width=256,
        height=256, public=True, shown=True, labels=int(masks[i]), confidence=float(sure[i]),
        added_at=now - timedelta(minutes=count - i), views=True) for i in part)
    batch = Batch.objects.create(token=f"filled-{start // 500}", state="done", model=model,
        files=1, files_read=1, chips=len(chips), chips_labelled=len(chips), finished_at=now)
    upload = Upload.objects.create(batch=batch, name="picture", state="read", rows=1,
        columns=len(chips), width=256 * len(chips), height=256)
    made = Prediction.objects.bulk_create(Prediction(chip=chip, model=model,
        labels=chip.labels, confidence=chip.confidence,
        probability=Prediction.pack(said[i]), raw=Prediction.pack(said[i]))
        for i, chip in zip(part, chips))
    Placement.objects.bulk_create(Placement(batch=batch, upload=upload, chip=chip, column=column,
        state="labelled", prediction=p) for column, (chip, p) in enumerate(zip(chips, made)))
    source = f"{root / thumb}.{start // 20_000}"  # a file system allows some 65,000 links to a file
    if not os.path.exists(source):
        shutil.copyfile(root / thumb, source)
    for chip in chips:
        target = root / storage.chip_copy(chip.pictures, "thumb")
        target.parent.mkdir(parents=True, exist_ok=True)
        os.link(source, target)
"""
GALLERY = [
    "", "label=water", "label=water&label=road", "label=blow_down&label=blooming&match=any",
    "weather=haze", "least=80", "sort=sure", "sort=unsure&label=slash_burn", "q=chip_77",
    "label=primary&weather=clear&least=50&sort=sure", "q=bare ground", "batch=filled-3",
    "batch=filled-1&label=road&sort=sure",
    f"since={date.today() - timedelta(days=30)}&until={date.today() - timedelta(days=20)}",
    f"until={date.today() - timedelta(days=60)}&label=water&sort=oldest",
]  # fmt: skip
SCREENFUL = 24  # thumbnails that a browser asks for before anybody scrolls
THUMB = re.compile(r"/chip/[\w-]+/thumb\.image")
SPEED = ROOT / "demo_site/speed.json"
rows: list[dict] = []


def line(what: str, value: str, target: str, good: bool = True) -> None:
    """Print what was measured and note it; a target that was missed is the program's exit code."""
    rows.append({"what": what, "value": value, "target": target, "met": bool(good)})
    mark = "" if good else "   MISSED"
    print(f"{what:58} {value:>16}   target {target}{mark}", flush=True)


def percentile(values: list[float], p: float) -> float:
    return float(np.percentile(values, p))


def start_up(given) -> None:
    """`paper demo` on an empty folder, until the page answers and until a chip can be labelled."""
    with tempfile.TemporaryDirectory() as folder:
        site = RealSite(Path(folder), SHOWCASE_PREDICTOR="")
        del site.env["SHOWCASE_EXAMPLES"]  # as many as a fresh site has
        code = "from paperlib.cli import main; main()"
        began = time.perf_counter()
        demo = subprocess.Popen(
            [sys.executable, "-c", code, "demo", "--port", str(site.port), "--no-browser"],
            env=site.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            wait_for(lambda: site.answers("/"), 120)
            seconds = time.perf_counter() - began
            line("start: the page answers", f"{seconds:.1f} s", "10 s", seconds <= 10)
            wait_for(lambda: site.answers("/workerz"), 120)
            seconds = time.perf_counter() - began
            line("start: model loaded", f"{seconds:.1f} s", "10 s", seconds <= 10)
            wait_for(lambda: "thumb.image" in site.client.get("/gallery/").text, 120)
            seconds = time.perf_counter() - began
            line("start: first example in the gallery", f"{seconds:.1f} s", "5 s", seconds <= 5)
            done = "SELECT chips_labelled FROM showcase_batch WHERE example AND state = 'done'"
            (count,) = wait_for(lambda: ask_database(site, done), 120)
            line(f"start: all {count} examples", f"{time.perf_counter() - began:.1f} s", "–")
        finally:
            demo.terminate()
            demo.wait(30)


#: Generated scenes as a visitor may send them.
KINDS = {
    "jpeg": lambda image: pictures.encode(image, "JPEG", quality=90),
    "planet": pictures.four_components,
    "progressive": lambda image: pictures.encode(image, "JPEG", quality=90, progressive=True),
    "png": pictures.encode,
}


def scenes(count: int, kind: str = "jpeg") -> list[tuple[str, bytes]]:
    """`[(name, bytes)]`, no two alike."""
    from paperlib.chips import scenes as generated

    base = [generated.scene(i, size=256).image for i in range(min(count, 64))]
    files = []
    for i in range(count):
        shift = divmod(613 * (i // len(base)) % 256**2, 256)  # another one each time
        image = np.roll(base[i % len(base)], shift, axis=(0, 1))
        suffix = "png" if kind == "png" else "jpg"
        files.append((f"scene_{i}.{suffix}", KINDS[kind](image)))
    return files


def cpu(*pids: int) -> float:
    """Seconds of processor time of processes and their children."""
    total = 0.0
    for pid in pids:
        process = psutil.Process(pid)
        for one in (process, *process.children(recursive=True)):
            times = one.cpu_times()
            total += times.user + times.system
    return total


class Alone:
    """`predict_files` in this process: the baseline of the site's overhead.

    The model is warm; the files are read from disk, decoded, shrunk and predicted as released (its
    views), with as many threads as it takes by itself or with one, whichever is quicker.
    """

    def __init__(self, model=None):
        from paperlib import predictor

        self.model = model or predictor.load("planet32")
        self.clock: dict[int | None, list[float]] = {None: [], 1: []}
        self.processor: dict[int | None, list[float]] = {None: [], 1: []}

    def once(self, files: list[tuple[str, bytes]]) -> None:
        """Label the files both ways and note the seconds by the clock and of the processor."""
        with tempfile.TemporaryDirectory() as folder:
            paths = []
            for name, data in files:
                paths.append(Path(folder, name))
                paths[-1].write_bytes(data)
            for workers in self.clock:
                began, used = time.perf_counter(), time.process_time()
                results = list(self.model.predict_files(paths, workers=workers))
                self.clock[workers].append(time.perf_counter() - began)
                self.processor[workers].append(time.process_time() - used)
                assert all(not result.error for result in results)

    @staticmethod
    def best(times: dict[int | None, list[float]]) -> list[float]:
        return min(times.values(), key=np.median)


def ask_database(site: RealSite, query: str, *values):
    path = f"file:{site.folder / 'var/showcase.sqlite3'}?mode=ro"
    with contextlib.closing(sqlite3.connect(path, uri=True)) as database:
        return database.execute(query, values).fetchone()


def idle(site: RealSite) -> None:
    """Wait until the worker has drawn the dehazed copies of what went before."""
    left = "SELECT COUNT(*) FROM showcase_chip WHERE NOT views"
    wait_for(lambda: ask_database(site, left)[0] == 0, 600, 0.5)
    time.sleep(0.5)


def no_drawing(site: RealSite) -> None:
    """What is drawn after a batch is no part of it: no upload's copy is there to draw from."""
    with contextlib.closing(sqlite3.connect(site.folder / "var/showcase.sqlite3")) as database:
        database.execute(
            "CREATE TRIGGER no_drawing AFTER UPDATE OF state ON showcase_upload "
            "WHEN NEW.state = 'read' BEGIN "
            "UPDATE showcase_upload SET copy = '' WHERE id = NEW.id; END"
        )
        database.execute(
            "CREATE TRIGGER no_copying AFTER INSERT ON showcase_chip BEGIN "
            "UPDATE showcase_chip SET tries = 3 WHERE id = NEW.id; END"
        )


@contextlib.contextmanager
def running(given, core: int | None = None, **env: str):
    """A site of its own with one worker whose model is loaded; yields it and the worker's pid.

    core  where gunicorn runs, and nowhere else
    """
    usual = {"SHOWCASE_HEARTBEAT_SECONDS": "2", "SHOWCASE_LOST_SECONDS": "20"}
    with (
        tempfile.TemporaryDirectory() as folder,
        RealSite(Path(folder), **usual, SHOWCASE_PREDICTOR=given.predictor, **env) as site,
    ):
        site.web(core)
        worker = site.worker()
        wait_for(lambda: site.answers("/workerz"), 120)
        yield site, worker.pid


def first_result(given) -> None:
    """Each time the queue is empty; the longest of three times, and of one with a large batch."""
    sizes = [5, 5, 5, given.batch]
    files = scenes(2 * sum(sizes))
    took: dict[tuple[int, str], list[float]] = {}
    with running(given) as (site, _):
        for size in sizes:
            for way, send in (
                ("as the page sends", site.send_in_parts),
                ("as one form", site.send),
            ):
                part, files = files[:size], files[size:]
                token = send(part)
                sent = time.perf_counter()
                wait_for(lambda token=token: site.status(token)["labelled"], 120, 0.02)
                took.setdefault((size, way), []).append(time.perf_counter() - sent)
                site.finished(token, 300)
                idle(site)
    for (size, way), seconds in took.items():
        most = max(seconds)
        line(f"first of {size} after the upload, {way}", f"{most:.2f} s", "0.5 s", most <= 0.5)


def batches(given, kind: str, rounds: int) -> tuple[Alone, dict, dict]:
    """Seconds of the predictor alone, and of batches in both ways: by the clock, of the processor.

    Half of the batches are sent as the page does it, in parts; the others as one form. While one
    runs, its page asks for news once a second; after it the predictor alone labels the same files,
    so that both sides meet the same machine.

    By the clock: from the moment the last file was accepted (`queued_at`) until every label, chip
    and row is stored and the batch says it is done (`finished_at`). Processor time: the worker and
    its decoder, from before the first file was sent; web server and copies that are drawn later
    are not in it, receiving and showing pictures being no part of predicting them. A batch that is
    sent in parts is at a disadvantage there: the worker looks for work all the while, and the web
    server uses the same cores, on which even the prediction itself takes longer then.
    """
    files = scenes((rounds + 2) * given.batch, kind)
    took: dict[str, list[float]] = {"wait": [], "work": []}
    used: dict[str, list[float]] = {way: [] for way in took}
    alone = Alone()
    with running(given) as (site, worker):
        no_drawing(site)
        for number in range(rounds + 2):  # the first two only warm everything up
            way = list(took)[number % 2]
            send = site.send if way == "work" else site.send_in_parts
            part = files[number * given.batch : (number + 1) * given.batch]
            before = cpu(worker)
            token = send(part)
            query = "SELECT queued_at, finished_at FROM showcase_batch WHERE token = ?"
            asked = time.monotonic()
            while not (times := ask_database(site, query, token))[1]:
                time.sleep(0.1)  # looking takes time of the same cores
                if time.monotonic() > asked + 1:  # as the batch's page does
                    asked = time.monotonic()
                    site.client.get(f"/batch/{token}/progress/")
            processor = cpu(worker) - before
            status = site.status(token)
            assert (status["labelled"], status["known"]) == (given.batch, 0), status
            alone.once(part)
            if number < 2:
                alone = Alone(alone.model)
                continue
            used[way].append(processor)
            begin, end = map(datetime.fromisoformat, times)
            took[way].append((end - begin).total_seconds())
    return alone, took, used


def overhead(given) -> None:
    """Three-component JPEGs, in every reading."""
    alone, took, used = batches(given, "jpeg", given.rounds)
    clock, processor = Alone.best(alone.clock), Alone.best(alone.processor)
    what = f"{given.batch} chips"
    line(f"{what}: predictor alone, clock", two(clock), "–")
    line(f"{what}: predictor alone, processor", two(processor), "–")
    for way, said in (("work", "all in one form"), ("wait", "as the page sends")):
        line(f"{what}, {said}: clock", two(took[way]), "–")
        good = np.median(took[way]) <= 1.5 * np.median(clock)
        line(f"overhead ({way}) by the clock", percent(took[way], clock), "50 %", good)
        line(f"{what}, {said}: processor", two(used[way]), "–")
        line(f"overhead ({way}) in processor time", percent(used[way], processor), "–")


def kinds(given) -> None:
    """The same by the clock for other pictures."""
    for kind, target in (("planet", 0.5), ("progressive", 0.5), ("png", 1)):
        alone, took, _ = batches(given, kind, given.rounds)
        clock = Alone.best(alone.clock)
        for way in ("work", "wait"):
            good = np.median(took[way]) <= (1 + target) * np.median(clock)
            given_target = f"{100 * target:.0f} %"
            line(f"{kind}: overhead ({way}) by the clock", percent(took[way], clock), given_target,
                 good)  # fmt: skip


def two(seconds: list[float]) -> str:
    return f"{min(seconds):.2f}, {np.median(seconds):.2f} s"


def percent(site: list[float], alone: list[float]) -> str:
    """Overhead by the least of each side, and by the medians."""
    least, middle = min(site) / min(alone), np.median(site) / np.median(alone)
    return f"{100 * (least - 1):+.0f}, {100 * (middle - 1):+.0f} %"


async def ask(
    client: httpx.AsyncClient, path: str, times: list[float], bad: list[str]
) -> httpx.Response | None:
    began, answer = time.perf_counter(), None
    try:
        answer = await client.get(path)
        if answer.status_code not in (200, 286):  # 286: a finished batch is not asked again
            bad.append(f"{answer.status_code} {path}")
    except httpx.HTTPError as error:
        bad.append(f"{error!r} {path}")
    times.append(time.perf_counter() - began)
    return answer


async def one_visitor(url: str, rounds: int) -> tuple[list[float], list[str]]:
    times, bad = [], []
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        for _ in range(rounds):
            for query in GALLERY:
                await ask(client, f"/gallery/?{query}", times, bad)
    return times, bad


async def many_visitors(
    site: RealSite, count: int, batches: list[list[tuple[str, bytes]]], chips: list[str]
) -> tuple[list[float], list[float], list[str], list[dict]]:
    """Each waits up to two seconds between pages, while batches are sent and worked on.

    A page comes with the thumbnails of its first screen that this visitor has not seen yet.
    Returns the seconds of each page and of each thumbnail, what went wrong, and the batches' last
    states.
    """
    times, thumbs, bad, done, states = [], [], [], asyncio.Event(), []
    rng = np.random.default_rng(2)
    tokens: list[str] = []

    def send() -> None:
        for files in batches:
            tokens.append(site.send_in_parts(files))
            states.append(site.finished(tokens[-1], 120))

    async def visit() -> None:
        seen: set[str] = set()
        six = httpx.Limits(max_connections=6)  # as a browser has them
        async with httpx.AsyncClient(base_url=site.url, timeout=60, limits=six) as client:
            await asyncio.sleep(float(rng.random()) * 2)
            while not done.is_set():
                paths = ["/", "/model/", *(f"/batch/{token}/progress/" for token in tokens[-1:])]
                paths += [f"/chip/{key}/" for key in rng.choice(chips, 3)]
                paths += [f"/gallery/?{query}" for query in GALLERY]
                answer = await ask(client, paths[int(rng.integers(len(paths)))], times, bad)
                shown = THUMB.findall(answer.text)[:SCREENFUL] if answer else []
                new = [path for path in dict.fromkeys(shown) if path not in seen]
                seen.update(new)  # the browser keeps them
                await asyncio.gather(*(ask(client, path, thumbs, bad) for path in new))
                await asyncio.sleep(float(rng.random()) * 2)

    async def work() -> None:
        try:
            await asyncio.to_thread(send)
        finally:
            done.set()

    await asyncio.gather(work(), *(visit() for _ in range(count)))
    return times, thumbs, bad, states


def fill(site: RealSite, chips: int) -> list[str]:
    """So many chips with predictions and thumbnails, in batches of 500; some of their keys."""
    thumb = site.folder / "thumb.jpg"
    thumb.write_bytes(pictures.jpeg(1, 160))
    code = [sys.executable, "-c", FILL, str(chips), str(thumb)]
    subprocess.run(code, env=site.env, cwd=ROOT / "demo_site", check=True)
    path = f"file:{site.folder / 'var/showcase.sqlite3'}?mode=ro"
    with contextlib.closing(sqlite3.connect(path, uri=True)) as database:
        rows = database.execute("SELECT key FROM showcase_chip WHERE id % 97 = 0 LIMIT 500")
        return [key for (key,) in rows]


async def chip_pages(url: str, keys: list[str]) -> tuple[list[float], list[str]]:
    times, bad = [], []
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        for key in keys:
            answer = await ask(client, f"/chip/{key}/", times, bad)
            if answer is not None and len(set(THUMB.findall(answer.text))) < 8:
                bad.append(f"no similar chips on /chip/{key}/")
    return times, bad


def one_core() -> int | None:
    """The last core that this process may use; None where a system does not tell."""
    return max(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None


def gallery(given) -> None:
    core = one_core()
    with running(given, core) as (site, _):
        keys = fill(site, given.chips)
        asyncio.run(one_visitor(site.url, 1))
        times, bad = asyncio.run(one_visitor(site.url, 20))
        pages, worse = asyncio.run(chip_pages(site.url, keys[:100]))
    line("gallery and chips: errors", f"{len(bad + worse)}", "0", not bad + worse)
    middle, tail = (1000 * percentile(times, p) for p in (50, 95))
    where = "on one core" if core is not None else "on all cores"
    line(f"gallery {where}, {given.chips} chips: median", f"{middle:.0f} ms", "–")
    line("gallery: 95th percentile", f"{tail:.0f} ms", "60 ms", tail <= 60)
    slowest = {query: max(times[at :: len(GALLERY)]) for at, query in enumerate(GALLERY)}
    query = max(slowest, key=slowest.get)
    line(f"gallery: slowest, ?{query}"[:58], f"{1000 * slowest[query]:.0f} ms", "–")
    line("first chip's page (similar chips are read)", f"{1000 * pages[0]:.0f} ms", "–")
    line("chip's page: 95th percentile", f"{1000 * percentile(pages[1:], 95):.0f} ms", "–")
    for problem in (bad + worse)[:5]:
        print("   ", problem)


def visitors(given) -> None:
    files = scenes(3 * given.batch)
    batches = [files[at : at + given.batch] for at in range(0, len(files), given.batch)]
    with running(given) as (site, _):
        keys = fill(site, given.chips)
        found = asyncio.run(many_visitors(site, given.visitors, batches, keys))
    times, thumbs, bad, states = found
    labelled = sum(state["labelled"] for state in states)
    all_done = labelled == len(files)
    line(
        f"{given.visitors} visitors while {labelled} chips are labelled: errors",
        f"{len(bad)} of {len(times) + len(thumbs)}", "0", not bad and all_done,
    )  # fmt: skip
    line("their pages: 95th percentile", f"{1000 * percentile(times, 95):.0f} ms", "–")
    line("their thumbnails: 95th percentile", f"{1000 * percentile(thumbs, 95):.0f} ms", "–")
    for problem in bad[:5]:
        print("   ", problem)


PARTS = {
    "start": start_up,
    "first": first_result,
    "overhead": overhead,
    "kinds": kinds,
    "gallery": gallery,
    "visitors": visitors,
}


def write(part: str, found: list[dict], path: Path = SPEED) -> None:
    """Keep the rows of one part, with when, where and with which release they were measured."""
    from paperlib import predictor
    from paperlib.utils import files, system

    model = "planet32"
    kept = files.read_json(path)["parts"] if path.is_file() else {}
    kept[part] = {
        "date": date.today().isoformat(),
        "hardware": system.hardware(),
        "model": model,
        "card": files.sha256(predictor.RELEASED / model / "card.json"),
        "rows": found,
    }
    files.write_json(path, {"parts": {name: kept[name] for name in PARTS if name in kept}})


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--chips", type=int, default=100_000)
    parser.add_argument("--batch", type=int, default=500)
    parser.add_argument(
        "--rounds", type=int, default=6, help="batches whose time is taken, 2 or more"
    )
    parser.add_argument("--visitors", type=int, default=50)
    parser.add_argument("--predictor", default="", help="dotted path instead of the released model")
    parser.add_argument("--write", action="store_true", help=f"keep it in {SPEED.name}")
    given = parser.parse_args()
    if given.write and given.predictor:
        parser.error("--write: only what the released model takes is kept")
    if unknown := set(given.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    if given.rounds < 2:
        parser.error("--rounds: 2 or more, one for each way of sending")
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    for part in given.parts or PARTS:
        before = len(rows)
        PARTS[part](given)
        if given.write:
            write(part, rows[before:])
    missed = [row["what"] for row in rows if not row["met"]]
    for what in missed:
        print(f"missed: {what}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
