"""How long an upstream may take to take a request is a channel's own, as its other times are."""

from django.db import migrations, models

import billing.guards


class Migration(migrations.Migration):

    dependencies = [
        ('billing', '0013_wallet_limits'),
        ('relay', '0002_upstream_objects'),
    ]

    operations = [
        migrations.AddField(
            model_name='channel',
            name='write_timeout_ms',
            field=models.PositiveIntegerField(db_default=30000, default=30000),
        ),
        billing.guards.InstallGuards(),
    ]
