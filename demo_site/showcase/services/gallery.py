"""The gallery's queries: constant in number, and bounded in work at 100,000 chips.

Two steps. The filters run inside a covering index of `Chip` (`chip_newest`, `chip_confidence`),
which holds everything they ask for, and give at most one page of ids; then the rows of that page
are fetched by id. Pages follow a key ("older than this chip"), never an offset. The count stops at
`COUNTED`, since nobody needs to know 48,211 from 48,212.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from urllib.parse import urlencode

from django.db.models import F, Q, QuerySet
from django.utils import timezone

from paperlib.labels import LABELS, WEATHER

from .. import label_sets
from ..models import Batch, Chip

PAGE = 48
COUNTED = 1000
TERMS = 8  # words of a search that count
SORTS = ("newest", "oldest", "sure", "unsure")


@dataclass
class Filters:
    """What a visitor asked for; every value is checked, whatever the address held."""

    labels: list[str] = field(default_factory=list)
    match: str = "all"  # "all" | "any"
    weather: str = ""
    least: int = 0  # percent of confidence
    most: int = 100
    since: date | None = None
    until: date | None = None
    batch: str = ""  # token
    text: str = ""
    sort: str = "newest"

    @classmethod
    def read(cls, query) -> Filters:
        labels = [name for name in dict.fromkeys(query.getlist("label")) if name in LABELS]
        sort = query.get("sort", "")
        return cls(
            labels=labels,
            match="any" if query.get("match") == "any" else "all",
            weather=query.get("weather", "") if query.get("weather") in WEATHER else "",
            least=_percent(query.get("least"), 0),
            most=_percent(query.get("most"), 100),
            since=_date(query.get("since")),
            until=_date(query.get("until")),
            batch=query.get("batch", "")[:32].replace("\x00", ""),
            text=query.get("q", "").replace("\x00", "").strip()[:100],
            sort=sort if sort in SORTS else "newest",
        )

    def query(self, **changes) -> str:
        """The address's query for these filters, defaults left out."""
        pairs: list[tuple[str, str]] = [("label", name) for name in self.labels]
        for key, value, usual in (
            ("match", self.match, "all"),
            ("weather", self.weather, ""),
            ("least", self.least, 0),
            ("most", self.most, 100),
            ("since", self.since or "", ""),
            ("until", self.until or "", ""),
            ("batch", self.batch, ""),
            ("q", self.text, ""),
            ("sort", self.sort, "newest"),
        ):
            if value != usual:
                pairs.append((key, str(value)))
        return urlencode(pairs + [(k, str(v)) for k, v in changes.items() if v])

    @property
    def active(self) -> bool:
        return bool(self.query())


@dataclass
class Page:
    chips: list[Chip]
    filters: Filters
    count: int  # at most COUNTED
    more_than_counted: bool
    newer: str = ""  # query of the page before, "" where there is none
    older: str = ""  # query of the page after
    batch: Batch | None = None


def _percent(value: str | None, default: int) -> int:
    return min(int(value), 100) if value and value.isascii() and value.isdigit() else default


def _date(value: str | None) -> date | None:
    try:
        return date.fromisoformat(value) if value else None
    except ValueError:
        return None


def _midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min))


def select(filters: Filters) -> tuple[QuerySet[Chip], Batch | None]:
    """The chips that the filters let through, in no order yet."""
    rows = Chip.objects.filter(shown=True)
    mask = label_sets.mask(filters.labels)
    if mask:
        rows = rows.annotate(met=F("labels").bitand(mask))
        rows = rows.filter(met=mask) if filters.match == "all" else rows.exclude(met=0)
    if filters.weather:
        rows = rows.annotate(sky=F("labels").bitand(label_sets.mask([filters.weather])))
        rows = rows.exclude(sky=0)
    if filters.least:
        rows = rows.filter(confidence__gte=filters.least / 100)
    if filters.most < 100:
        rows = rows.filter(confidence__lte=filters.most / 100)
    if filters.since and filters.since > date.min:  # a day that no time zone moves out of the years
        rows = rows.filter(added_at__gte=_midnight(filters.since))
    if filters.until and filters.until < date.max:
        rows = rows.filter(added_at__lt=_midnight(filters.until + timedelta(days=1)))
    batch = None
    if filters.batch:
        # The token is the right to see the batch; a private one's chips are on its own page only.
        batch = Batch.objects.present().filter(token=filters.batch, private=False).first()
        rows = rows.filter(placements__batch=batch).distinct() if batch else rows.none()
    for term, label in terms(filters.text):
        if label:
            rows = rows.annotate(**{f"is_{label}": F("labels").bitand(label_sets.mask([label]))})
            rows = rows.filter(Q(name__icontains=term) | Q(**{f"is_{label}__gt": 0}))
        else:
            rows = rows.filter(name__icontains=term)
    return rows, batch


def terms(text: str) -> list[tuple[str, str | None]]:
    """A search as `[(term, label or None)]`: "bare ground 7" -> bare ground (a label), 7.

    The longest run of words that names a label is one term; any other word is one for itself.
    """
    words, found = text.split()[:TERMS], []
    while words:
        for count in range(len(words), 0, -1):
            term = " ".join(words[:count])
            label = label_sets.find(term)
            if label or count == 1:
                found.append((term, label))
                words = words[count:]
                break
    return found


def page(query) -> Page:
    """One page of the gallery for the query of its address."""
    filters = Filters.read(query)
    rows, batch = select(filters)
    column, newest_first = _way(filters)
    after, before = _key(query.get("after")), _key(query.get("before"))
    backwards = before is not None
    key = before if backwards else after
    falling = newest_first != backwards
    ordered = rows.order_by(*_order(column, falling))
    if key is not None:
        ordered = ordered.filter(_beyond(column, key, falling))
    found = list(ordered.values_list("id", "confidence")[: PAGE + 1])
    another = len(found) > PAGE
    found = found[:PAGE]
    if backwards:
        found.reverse()
    by_id = {chip.pk: chip for chip in Chip.objects.filter(pk__in=[pk for pk, _ in found])}
    # A first page that is not full has counted already.
    whole = key is None and not another
    counted = len(found) if whole else rows.order_by().values("id")[: COUNTED + 1].count()
    result = Page(
        chips=[by_id[pk] for pk, _ in found if pk in by_id],
        filters=filters,
        count=min(counted, COUNTED),
        more_than_counted=counted > COUNTED,
        batch=batch,
    )
    if found:
        if another if not backwards else key is not None:
            result.older = filters.query(after=_text(found[-1]))
        if another if backwards else key is not None:
            result.newer = filters.query(before=_text(found[0]))
    return result


def _way(filters: Filters) -> tuple[str, bool]:
    """By which column the chips are sorted, and whether it falls."""
    return (
        "id" if filters.sort in ("newest", "oldest") else "confidence",
        filters.sort in ("newest", "sure"),
    )


def neighbours(filters: Filters, chip: Chip) -> tuple[Chip | None, Chip | None]:
    """The chips before and behind one, among those that the filters let through."""
    rows, _ = select(filters)
    column, falls = _way(filters)
    found = []
    for falling in (not falls, falls):
        beyond = rows.filter(_beyond(column, (chip.pk, chip.confidence), falling))
        pk = beyond.order_by(*_order(column, falling)).values_list("id", flat=True).first()
        found.append(pk and Chip.objects.filter(pk=pk).first())
    return found[0], found[1]


def _order(column: str, falling: bool) -> list[str]:
    names = ["id"] if column == "id" else [column, "id"]
    return [f"-{name}" if falling else name for name in names]


def _beyond(column: str, key: tuple[int, float], falling: bool) -> Q:
    pk, confidence = key
    way = "lt" if falling else "gt"
    if column == "id":
        return Q(**{f"id__{way}": pk})
    return Q(**{f"confidence__{way}": confidence}) | Q(confidence=confidence, **{f"id__{way}": pk})


def _text(row: tuple[int, float]) -> str:
    return f"{row[0]}_{row[1]!r}"


def _key(value: str | None) -> tuple[int, float] | None:
    """The place a page starts at; nonsense in the address starts at the beginning."""
    try:
        pk, confidence = (value or "").split("_")
        if not (pk.isascii() and pk.isdigit()) or len(pk) > 18:
            return None
        number = float(confidence)
        return (int(pk), number) if 0 <= number <= 1 else None
    except ValueError:
        return None
