"""Keys that were replaced, and what finds unpaid payments and the trials of a network."""

from django.db import migrations, models

from billing.guards import InstallGuards


class Migration(migrations.Migration):

    dependencies = [
        ('billing', '0009_notice_indexes'),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name='payment',
            name='payment_open',
        ),
        migrations.AddField(
            model_name='apikey',
            name='replaced_at',
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddIndex(
            model_name='order',
            index=models.Index(condition=models.Q(('trial_mailbox', ''), _negated=True), fields=['tenant', 'address_hash', 'created_at'], name='order_trials'),
        ),
        migrations.AddIndex(
            model_name='payment',
            index=models.Index(condition=models.Q(('check_count__lt', 4), ('status__in', ('created', 'pending', 'failed', 'cancelled', 'expired'))), fields=['created_at'], name='payment_unpaid'),
        ),
        InstallGuards(),
    ]
