"""`{% load showcase %}`: labels of a bitmask, and the few sums that drawing pages needs."""

from __future__ import annotations

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from paperlib.labels import GROUP

from .. import label_sets

register = template.Library()
NAME, TAIL = 18, 9  # characters of a tile's name, and how many of its end stay


@register.filter
def labels(mask: int | None) -> list[dict]:
    """`[{name, title, group}]` of a bitmask: `{% for label in chip.labels|labels %}`."""
    return label_sets.describe(mask or 0)


@register.filter
def group(name: str) -> str:
    """weather, common or rare."""
    return GROUP.get(name, "")


@register.filter
def middle(name: object) -> str:
    """A name that fits under a tile: of a long one the end stays, where a mosaic's place stands."""
    text = str(name)
    return text if len(text) <= NAME else f"{text[: NAME - TAIL - 1]}…{text[-TAIL:]}"


@register.filter
def percent(share: float | None) -> str:
    """0…1 as a whole percentage."""
    return "–" if share is None else f"{100 * share:.0f} %"


@register.filter
def coming(progress, page) -> range:
    """Empty tiles for the chips that are still to come, so that results move nothing."""
    return range(max(min(progress.left, page.paginator.per_page - len(page)), 0))


@register.simple_tag(takes_context=True)
def turned(context, name: str, number: int) -> str:
    """The address's query with one of its lists turned to another page: `?page=2&why=3`."""
    query = context["request"].GET.copy()
    query[name] = number
    return f"?{query.urlencode()}"


@register.simple_tag
def icon(name: str, extra: str = "") -> SafeString:
    """One of the drawings of `icons.svg`; it says nothing to a screen reader."""
    from django.templatetags.static import static

    return format_html(
        '<svg class="icon {}" aria-hidden="true"><use href="{}#{}"></use></svg>',
        extra,
        static("showcase/icons.svg"),
        name,
    )
