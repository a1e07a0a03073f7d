from django.apps import AppConfig


class ShowcaseConfig(AppConfig):
    name = "showcase"
    verbose_name = "Showcase"

    def ready(self) -> None:
        from .web import admin, checks  # noqa: F401  both register what they hold
