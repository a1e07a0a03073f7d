from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("showcase", "0003_upload_sha256")]

    operations = [
        migrations.AddField(
            model_name="batch",
            name="key",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=models.deletion.SET_NULL,
                related_name="batches",
                to="showcase.apikey",
            ),
        ),
    ]
