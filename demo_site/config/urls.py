"""Addresses: the site's own, the API under /api/v1/, staff's under /admin/."""

from django.contrib import admin
from django.urls import include, path
from showcase.web.api import api
from showcase.web.views import staff

urlpatterns = [
    path("admin/login/", staff.Login.as_view()),  # one way in, with one limit
    path("admin/", admin.site.urls),
    path("i18n/", include("django.conf.urls.i18n")),
    path("api/v1/", api.urls),
    path("", include("showcase.web.urls")),
]

handler400 = "showcase.web.views.errors.bad_request"
handler403 = "showcase.web.views.errors.forbidden"
handler404 = "showcase.web.views.errors.not_found"
handler500 = "showcase.web.views.errors.server_error"
