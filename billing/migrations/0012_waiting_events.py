"""A job looks every minute for events that nobody has acted on, however many came since."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('billing', '0011_selling'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='paymentevent',
            index=models.Index(condition=models.Q(('handled_at__isnull', True)), fields=['created_at'], name='payment_event_waiting'),
        ),
    ]
