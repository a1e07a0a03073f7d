"""Addresses of the pages."""

from django.contrib.auth.views import LogoutView
from django.urls import path

from .views import batches, chips, pages, staff, upload

urlpatterns = [
    path("", upload.home, name="home"),
    path("try/", upload.example, name="try_example"),
    path("upload/", upload.start, name="upload_open"),
    path("batch/<str:token>/files/", upload.add, name="upload_files"),
    path("batch/<str:token>/submit/", upload.submit, name="upload_submit"),
    path("batch/<str:token>/", batches.batch, name="batch"),
    path("batch/<str:token>/progress/", batches.progress, name="batch_progress"),
    path("batch/<str:token>/cancel/", batches.cancel, name="batch_cancel"),
    path("batch/<str:token>/change/", batches.change, name="batch_change"),
    path("batch/<str:token>/retry/", batches.retry, name="batch_retry"),
    path("batch/<str:token>/delete/", staff.delete_batch, name="batch_delete"),
    path("batch/<str:token>/labels.csv", batches.save, {"kind": "csv"}, name="batch_csv"),
    path("batch/<str:token>/labels.json", batches.save, {"kind": "json"}, name="batch_json"),
    path(
        "batch/<str:token>/labels.geojson", batches.save, {"kind": "geojson"}, name="batch_geojson"
    ),
    path("batch/<str:token>/map/", batches.earth, name="map"),
    path("batch/<str:token>/picture/<int:upload>/", batches.picture, name="picture"),
    path("gallery/", chips.gallery, name="gallery"),
    path("unsure/", chips.unsure_chips, name="unsure"),
    path("chip/<str:key>/", chips.chip, name="chip"),
    path("chip/<str:key>/<str:kind>.image", chips.image, name="chip_image"),
    path("chip/<str:key>/flag/", chips.flag, name="chip_flag"),
    path("chip/<str:key>/hide/", staff.hide_chip, name="chip_hide"),
    path("chip/<str:key>/delete/", staff.delete_chip, name="chip_delete"),
    path("flags.csv", chips.flags_csv, name="flags_csv"),
    path("model/", pages.model, name="model"),
    path("report/", pages.report, name="report"),
    path("derivation/", pages.derivation, name="derivation"),
    path("api/", pages.api_page, name="api_page"),
    path("login/", staff.Login.as_view(), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
]
