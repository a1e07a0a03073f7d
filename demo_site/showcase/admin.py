"""Staff's pages under /admin/: flags to review, keys to hand out, batches and workers to see."""

from __future__ import annotations

from django.contrib import admin

from . import removal
from .models import ApiKey, Batch, Chip, Flag, ModelVersion, Worker


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
        removal.remove_batch(obj)

    def delete_queryset(self, request, queryset) -> None:
        for batch in queryset:
            removal.remove_batch(batch)


@admin.register(Chip)
class ChipAdmin(LookOnly):
    list_display = ("id", "name", "shown", "hidden", "added_at")
    show_full_result_count = False

    def has_delete_permission(self, request, obj=None) -> bool:
        return False  # the chip's own page deletes its files too


@admin.register(Flag)
class FlagAdmin(admin.ModelAdmin):
    list_display = ("id", "chip", "state", "comment", "created_at")
    list_filter = ("state",)
    fields = ("state", "comment")
    readonly_fields = ("comment",)
    list_select_related = ("chip",)

    def has_add_permission(self, request) -> bool:
        return False


@admin.register(ApiKey)
class ApiKeyAdmin(admin.ModelAdmin):
    """Made with `manage.py apikey`, which shows the key once."""

    list_display = ("name", "per_hour", "created_at", "used_at", "revoked")
    fields = ("name", "per_hour", "revoked")

    def has_add_permission(self, request) -> bool:
        return False


admin.site.register(ModelVersion, LookOnly)
admin.site.register(Worker, LookOnly)
