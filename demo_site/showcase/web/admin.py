"""Staff's pages under /admin/: flags to review, keys to hand out, batches and workers to see."""

from __future__ import annotations

from django.contrib import admin
from django.db import transaction
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from .. import label_sets
from ..models import ApiKey, Batch, Chip, Flag, ModelVersion, Worker
from ..services import corrections, deletion


class LookOnly(admin.ModelAdmin):
    def has_add_permission(self, request) -> bool:
        return False

    def has_change_permission(self, request, obj=None) -> bool:
        return False


@admin.register(Batch)
class BatchAdmin(LookOnly):
    list_display = ("id", "title", "state", "private", "files", "chips", "created_at")
    list_filter = ("state", "private")

    def delete_model(self, request, obj) -> None:
        deletion.remove_batch(obj)

    def delete_queryset(self, request, queryset) -> None:
        for batch in queryset:
            deletion.remove_batch(batch)


@admin.register(Chip)
class ChipAdmin(LookOnly):
    list_display = ("id", "name", "shown", "hidden", "added_at")
    show_full_result_count = False

    def has_delete_permission(self, request, obj=None) -> bool:
        return False  # the chip's own page deletes its files too


@admin.register(Flag)
class FlagAdmin(admin.ModelAdmin):
    """What is needed to decide: the chip, the labels it has, and those that a visitor proposes."""

    list_display = (
        "id",
        "picture",
        "page",
        "given",
        "proposed",
        "state",
        "comment",
        "created_at",
        "decided_by",
    )
    list_filter = ("state", "chip__public")
    fields = ("picture", "page", "given", "proposed", "comment", "created_at", "state")
    readonly_fields = ("picture", "page", "given", "proposed", "comment", "created_at")
    list_select_related = ("chip",)
    list_per_page = 50
    actions = ("accept", "reject")

    def has_add_permission(self, request) -> bool:
        return False

    def save_model(self, request, obj, form, change) -> None:
        rows = Flag.objects.filter(pk=obj.pk)
        if obj.state == "open":
            super().save_model(request, obj, form, change)
            corrections.apply([obj.chip_id])
        else:
            corrections.judge(rows, accepted=obj.state == "accepted", by=request.user)

    def delete_model(self, request, obj) -> None:
        self.delete_queryset(request, Flag.objects.filter(pk=obj.pk))

    def delete_queryset(self, request, queryset) -> None:
        with transaction.atomic():
            chips = set(queryset.values_list("chip", flat=True))
            queryset.delete()
            corrections.apply(chips)

    @admin.display(description=_("picture"))
    def picture(self, flag: Flag) -> str:
        address = reverse("chip_image", args=[flag.chip.key, "thumb"])
        return format_html('<img src="{}" alt="" width="96" height="96">', address)

    @admin.display(description=_("chip"))
    def page(self, flag: Flag) -> str:
        return format_html('<a href="{}">{}</a>', flag.chip.get_absolute_url(), flag.chip)

    @admin.display(description=_("labels now"))
    def given(self, flag: Flag) -> str:
        return _titles(flag.chip.labels)

    @admin.display(description=_("labels proposed"))
    def proposed(self, flag: Flag) -> str:
        return _titles(flag.labels)

    @admin.action(description=_("Accept the chosen corrections"), permissions=["change"])
    def accept(self, request, queryset) -> None:
        corrections.judge(queryset, accepted=True, by=request.user)

    @admin.action(description=_("Reject the chosen corrections"), permissions=["change"])
    def reject(self, request, queryset) -> None:
        corrections.judge(queryset, accepted=False, by=request.user)


def _titles(mask: int) -> str:
    return ", ".join(label["title"] for label in label_sets.describe(mask))


@admin.register(ApiKey)
class ApiKeyAdmin(admin.ModelAdmin):
    """Made with `manage.py create_api_key`, which shows the key once."""

    list_display = (
        "name",
        "prefix",
        "per_hour",
        "created_at",
        "used_at",
        "expires_at",
        "revoked",
        "sends_only",
    )
    fields = ("name", "per_hour", "expires_at", "revoked", "sends_only")

    def has_add_permission(self, request) -> bool:
        return False


admin.site.register(ModelVersion, LookOnly)
admin.site.register(Worker, LookOnly)
