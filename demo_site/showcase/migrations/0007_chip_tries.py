from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("showcase", "0006_batch_owner")]

    operations = [
        migrations.AddField("chip", "tries", models.PositiveSmallIntegerField(default=0)),
    ]
