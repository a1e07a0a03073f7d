from django.apps import AppConfig


class ShowcaseConfig(AppConfig):
    name = "showcase"
    verbose_name = "Showcase"

    def ready(self) -> None:
        from . import checks  # noqa: F401  they are registered
