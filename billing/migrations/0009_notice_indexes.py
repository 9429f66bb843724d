"""Jobs look every minute for notices that wait and for wallets that have a mark."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('billing', '0008_shop'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='notice',
            index=models.Index(condition=models.Q(('sent_at__isnull', True)), fields=['due_at'], name='notice_waiting'),
        ),
        migrations.AddIndex(
            model_name='wallet',
            index=models.Index(condition=models.Q(('alert_below_ubt__isnull', False)), fields=['id'], name='wallet_alert'),
        ),
    ]
