# The tables as they are: nothing was deployed before.

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

import showcase.models.fields


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="ApiKey",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=80)),
                ("prefix", models.CharField(blank=True, max_length=12)),
                ("digest", models.CharField(max_length=64, unique=True)),
                ("per_hour", models.PositiveIntegerField(default=0)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("used_at", models.DateTimeField(blank=True, null=True)),
                ("expires_at", models.DateTimeField(blank=True, null=True)),
                ("revoked", models.BooleanField(default=False)),
                ("sends_only", models.BooleanField(default=False)),
            ],
        ),
        migrations.CreateModel(
            name="ModelVersion",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=100)),
                ("fingerprint", models.CharField(max_length=64, unique=True)),
                ("card", models.JSONField(default=dict)),
                ("thresholds", models.JSONField(default=list)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("used_at", models.DateTimeField(db_index=True, default=django.utils.timezone.now)),
            ],
            options={
                "verbose_name": "model version",
            },
        ),
        migrations.CreateModel(
            name="Worker",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=64, unique=True)),
                ("host", models.CharField(max_length=80)),
                ("pid", models.PositiveIntegerField()),
                ("started_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("seen_at", models.DateTimeField(db_index=True, default=django.utils.timezone.now)),
                ("ready", models.BooleanField(default=False)),
                ("trouble", models.CharField(blank=True, max_length=300)),
                ("unprotected", models.CharField(blank=True, max_length=60)),
                ("chip_seconds", models.FloatField(default=0)),
            ],
        ),
        migrations.CreateModel(
            name="Chip",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "key",
                    models.CharField(
                        default=showcase.models.fields.token,
                        editable=False,
                        max_length=32,
                        unique=True,
                    ),
                ),
                (
                    "pictures",
                    models.CharField(
                        default=showcase.models.fields.token, editable=False, max_length=32
                    ),
                ),
                ("sha256", models.CharField(max_length=64, unique=True)),
                ("content", models.CharField(db_index=True, max_length=64)),
                ("name", models.CharField(blank=True, max_length=160)),
                ("width", models.PositiveIntegerField()),
                ("height", models.PositiveIntegerField()),
                ("added_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("public", models.BooleanField(default=False)),
                ("hidden", models.BooleanField(default=False)),
                ("shown", models.BooleanField(default=False)),
                ("labels", models.PositiveIntegerField(default=0)),
                ("confidence", models.FloatField(default=0)),
                ("corrected", models.BooleanField(default=False)),
                ("drawn", models.BooleanField(default=False)),
                ("views", models.BooleanField(default=False)),
                ("tries", models.PositiveSmallIntegerField(default=0)),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("shown", True)),
                        fields=["id", "labels", "confidence", "added_at", "shown", "name"],
                        name="chip_newest",
                    ),
                    models.Index(
                        condition=models.Q(("shown", True)),
                        fields=["confidence", "id", "labels", "added_at", "shown", "name"],
                        name="chip_confidence",
                    ),
                    models.Index(
                        condition=models.Q(("views", False)), fields=["id"], name="chip_undrawn"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Count",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("what", models.CharField(max_length=80)),
                ("hour", models.PositiveIntegerField()),
                ("events", models.PositiveIntegerField(default=0)),
            ],
            options={
                "indexes": [models.Index(fields=["hour"], name="count_hour")],
                "constraints": [
                    models.UniqueConstraint(fields=("what", "hour"), name="one_count_per_hour")
                ],
            },
        ),
        migrations.CreateModel(
            name="Flag",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("labels", models.PositiveIntegerField()),
                ("comment", models.CharField(blank=True, max_length=500)),
                ("owner", models.CharField(blank=True, max_length=32)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("open", "open"),
                            ("accepted", "accepted"),
                            ("rejected", "rejected"),
                        ],
                        db_index=True,
                        default="open",
                        max_length=10,
                    ),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("decided_at", models.DateTimeField(blank=True, null=True)),
                (
                    "chip",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="flags",
                        to="showcase.chip",
                    ),
                ),
                (
                    "decided_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "ordering": ["-id"],
            },
        ),
        migrations.CreateModel(
            name="Batch",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "token",
                    models.CharField(
                        default=showcase.models.fields.token,
                        editable=False,
                        max_length=32,
                        unique=True,
                    ),
                ),
                ("title", models.CharField(blank=True, max_length=120)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("receiving", "receiving"),
                            ("queued", "queued"),
                            ("running", "running"),
                            ("done", "done"),
                            ("failed", "failed"),
                            ("cancelled", "cancelled"),
                        ],
                        default="receiving",
                        max_length=12,
                    ),
                ),
                ("private", models.BooleanField(default=False)),
                ("example", models.BooleanField(default=False)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("queued_at", models.DateTimeField(blank=True, null=True)),
                ("started_at", models.DateTimeField(blank=True, null=True)),
                ("finished_at", models.DateTimeField(blank=True, null=True)),
                ("touched_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("vanishes_at", models.DateTimeField(blank=True, null=True)),
                ("request", models.CharField(blank=True, max_length=64)),
                ("owner", models.CharField(blank=True, max_length=32)),
                ("sender", models.CharField(blank=True, max_length=40)),
                ("worker", models.CharField(blank=True, max_length=64)),
                ("lease_until", models.DateTimeField(blank=True, null=True)),
                ("taken_at", models.DateTimeField(blank=True, null=True)),
                ("not_before", models.DateTimeField(blank=True, null=True)),
                ("attempts", models.PositiveIntegerField(default=0)),
                ("read_seconds", models.FloatField(default=0)),
                ("setback", models.CharField(blank=True, max_length=300)),
                ("size", models.PositiveBigIntegerField(default=0)),
                ("files", models.PositiveIntegerField(default=0)),
                ("files_read", models.PositiveIntegerField(default=0)),
                ("files_failed", models.PositiveIntegerField(default=0)),
                ("chips", models.PositiveIntegerField(default=0)),
                ("chips_labelled", models.PositiveIntegerField(default=0)),
                ("chips_known", models.PositiveIntegerField(default=0)),
                ("chips_failed", models.PositiveIntegerField(default=0)),
                (
                    "key",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="batches",
                        to="showcase.apikey",
                    ),
                ),
                (
                    "model",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        to="showcase.modelversion",
                    ),
                ),
            ],
            options={
                "verbose_name": "batch",
                "verbose_name_plural": "batches",
            },
        ),
        migrations.CreateModel(
            name="Prediction",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("probability", models.BinaryField()),
                ("raw", models.BinaryField()),
                ("labels", models.PositiveIntegerField(default=0)),
                ("confidence", models.FloatField(default=0)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "chip",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="predictions",
                        to="showcase.chip",
                    ),
                ),
                (
                    "model",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, to="showcase.modelversion"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Upload",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("position", models.PositiveIntegerField(default=0)),
                ("name", models.CharField(max_length=160)),
                (
                    "state",
                    models.CharField(
                        choices=[("stored", "stored"), ("read", "read"), ("failed", "failed")],
                        default="stored",
                        max_length=12,
                    ),
                ),
                ("code", models.CharField(blank=True, max_length=40)),
                ("copy", models.CharField(blank=True, max_length=160)),
                ("size", models.PositiveBigIntegerField(default=0)),
                ("sha256", models.CharField(blank=True, max_length=64)),
                ("kind", models.CharField(blank=True, max_length=8)),
                ("width", models.PositiveIntegerField(default=0)),
                ("height", models.PositiveIntegerField(default=0)),
                ("rows", models.PositiveIntegerField(default=0)),
                ("columns", models.PositiveIntegerField(default=0)),
                ("corners", models.JSONField(blank=True, null=True)),
                (
                    "batch",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="uploads",
                        to="showcase.batch",
                    ),
                ),
                (
                    "parent",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        to="showcase.upload",
                    ),
                ),
            ],
            options={
                "ordering": ["id"],
            },
        ),
        migrations.CreateModel(
            name="Placement",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("row", models.PositiveIntegerField(default=0)),
                ("column", models.PositiveIntegerField(default=0)),
                (
                    "state",
                    models.CharField(
                        choices=[("labelled", "labelled"), ("failed", "failed")],
                        default="labelled",
                        max_length=12,
                    ),
                ),
                ("code", models.CharField(blank=True, max_length=40)),
                ("known", models.BooleanField(default=False)),
                (
                    "batch",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="placements",
                        to="showcase.batch",
                    ),
                ),
                (
                    "chip",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="placements",
                        to="showcase.chip",
                    ),
                ),
                (
                    "prediction",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        to="showcase.prediction",
                    ),
                ),
                (
                    "upload",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="placements",
                        to="showcase.upload",
                    ),
                ),
            ],
            options={
                "ordering": ["id"],
            },
        ),
        migrations.AddIndex(
            model_name="batch",
            index=models.Index(fields=["state", "queued_at"], name="batch_queue"),
        ),
        migrations.AddIndex(
            model_name="batch",
            index=models.Index(fields=["private", "-id"], name="batch_public"),
        ),
        migrations.AddIndex(
            model_name="batch",
            index=models.Index(fields=["owner", "-id"], name="batch_owner"),
        ),
        migrations.AddIndex(
            model_name="batch",
            index=models.Index(fields=["sender", "-taken_at"], name="batch_sender"),
        ),
        migrations.AddIndex(
            model_name="batch",
            index=models.Index(
                condition=models.Q(("vanishes_at__isnull", False)),
                fields=["vanishes_at"],
                name="batch_vanish",
            ),
        ),
        migrations.AddConstraint(
            model_name="batch",
            constraint=models.UniqueConstraint(
                condition=models.Q(("request", ""), _negated=True),
                fields=("key", "request"),
                name="batch_request_once",
            ),
        ),
        migrations.AddConstraint(
            model_name="prediction",
            constraint=models.UniqueConstraint(
                fields=("chip", "model"), name="predicted_once_per_model"
            ),
        ),
        migrations.AddIndex(
            model_name="upload",
            index=models.Index(fields=["batch", "state"], name="upload_batch_state"),
        ),
        migrations.AddIndex(
            model_name="upload",
            index=models.Index(
                condition=models.Q(("copy", ""), _negated=True), fields=["copy"], name="upload_copy"
            ),
        ),
        migrations.AddIndex(
            model_name="upload",
            index=models.Index(fields=["sha256"], name="upload_sha256"),
        ),
        migrations.AddConstraint(
            model_name="upload",
            constraint=models.UniqueConstraint(
                fields=("parent", "position"), name="upload_member_once"
            ),
        ),
        migrations.AddIndex(
            model_name="placement",
            index=models.Index(fields=["batch", "state"], name="placement_batch_state"),
        ),
        migrations.AddIndex(
            model_name="placement",
            index=models.Index(fields=["batch", "chip"], name="placement_batch_chip"),
        ),
        migrations.AddConstraint(
            model_name="placement",
            constraint=models.UniqueConstraint(
                fields=("upload", "row", "column"), name="one_chip_per_place"
            ),
        ),
    ]
