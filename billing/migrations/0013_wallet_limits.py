"""Limits of a wallet hold for all its keys together; relays notice when they change."""

from django.db import migrations, models

import billing.guards


class Migration(migrations.Migration):

    dependencies = [
        ('billing', '0012_waiting_events'),
    ]

    operations = [
        migrations.AddField(
            model_name='wallet',
            name='concurrency',
            field=models.PositiveIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='wallet',
            name='rpm',
            field=models.PositiveIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='wallet',
            name='tpm',
            field=models.PositiveIntegerField(blank=True, null=True),
        ),
        billing.guards.InstallGuards(),
    ]
