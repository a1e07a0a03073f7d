"""`{% load showcase %}`: labels of a bitmask."""

from __future__ import annotations

from django import template

from .. import tags

register = template.Library()


@register.filter
def labels(mask: int | None) -> list[dict]:
    """`[{name, title, group}]` of a bitmask: `{% for label in chip.labels|labels %}`."""
    return tags.describe(mask or 0)
