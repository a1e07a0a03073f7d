from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("showcase", "0004_batch_key")]

    operations = [
        migrations.AddField("batch", "read_seconds", models.FloatField(default=0)),
    ]
