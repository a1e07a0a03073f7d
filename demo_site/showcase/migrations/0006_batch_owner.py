from django.db import migrations, models


class Migration(migrations.Migration):
    """Who opened a batch stood in the browser's session before, which nobody can read from here."""

    dependencies = [("showcase", "0005_batch_read_seconds")]

    operations = [
        migrations.AddField("batch", "owner", models.CharField(blank=True, max_length=32)),
        migrations.AddIndex("batch", models.Index(fields=["owner", "-id"], name="batch_owner")),
    ]
