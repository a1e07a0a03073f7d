from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("showcase", "0002_packs")]

    operations = [
        migrations.AddIndex(
            model_name="upload",
            index=models.Index(fields=["sha256"], name="upload_sha256"),
        ),
    ]
