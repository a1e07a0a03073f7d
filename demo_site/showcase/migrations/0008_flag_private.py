from django.db import migrations, models


def mark(apps, editor) -> None:
    """Of older flags this much is known: their chip is in no public batch yet."""
    apps.get_model("showcase", "Flag").objects.filter(chip__public=False).update(private=True)


class Migration(migrations.Migration):
    dependencies = [("showcase", "0007_chip_tries")]

    operations = [
        migrations.AddField("flag", "private", models.BooleanField(default=False)),
        migrations.RunPython(mark, migrations.RunPython.noop),
    ]
