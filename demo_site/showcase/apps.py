from django.apps import AppConfig


class ShowcaseConfig(AppConfig):
    name = "showcase"
    verbose_name = "Showcase"

    def ready(self) -> None:
        # The system checks, and who listens to `signals`.
        from . import checks, tasks  # noqa: F401
