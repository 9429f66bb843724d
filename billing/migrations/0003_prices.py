"""Price books, their dated versions and long-context tiers."""

import billing.guards
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('billing', '0002_wallets_and_keys'),
    ]

    operations = [
        migrations.CreateModel(
            name='PriceBook',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='billing.tenant')),
                ('purpose', models.CharField(max_length=16)),
                ('group', models.CharField(blank=True, max_length=40)),
                ('customer', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='billing.tenant')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
            ],
            options={
                'db_table': 'price_book',
                'abstract': False,
                'base_manager_name': 'objects',
                'constraints': [models.UniqueConstraint(condition=models.Q(('customer__isnull', True)), fields=('tenant', 'purpose', 'group'), name='price_book_once'), models.UniqueConstraint(condition=models.Q(('customer__isnull', False)), fields=('tenant', 'purpose', 'group', 'customer'), name='price_book_once_per_customer'), models.UniqueConstraint(fields=('tenant', 'id'), name='price_book_tenant_id')],
            },
        ),
        migrations.CreateModel(
            name='PriceVersion',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('input_ubt', models.BigIntegerField(default=0)),
                ('cached_input_ubt', models.BigIntegerField(default=0)),
                ('cache_write_5m_ubt', models.BigIntegerField(default=0)),
                ('cache_write_1h_ubt', models.BigIntegerField(default=0)),
                ('output_ubt', models.BigIntegerField(default=0)),
                ('reasoning_ubt', models.BigIntegerField(default=0)),
                ('audio_in_ubt', models.BigIntegerField(default=0)),
                ('audio_out_ubt', models.BigIntegerField(default=0)),
                ('image_ubt', models.BigIntegerField(default=0)),
                ('second_ubt', models.BigIntegerField(default=0)),
                ('character_ubt', models.BigIntegerField(default=0)),
                ('request_ubt', models.BigIntegerField(default=0)),
                ('search_ubt', models.BigIntegerField(default=0)),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='billing.tenant')),
                ('book', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='versions', to='billing.pricebook')),
                ('model', models.CharField(max_length=64)),
                ('valid_from', models.DateTimeField()),
                ('context_limit', models.PositiveIntegerField(default=0)),
                ('output_limit', models.PositiveIntegerField(default=0)),
                ('usual_output', models.PositiveIntegerField(default=4096)),
                ('image_input_tokens', models.PositiveIntegerField(default=0)),
                ('audio_second_tokens', models.PositiveIntegerField(default=0)),
                ('file_input_tokens', models.PositiveIntegerField(default=0)),
                ('is_reasoning', models.BooleanField(default=False)),
                ('is_withdrawn', models.BooleanField(default=False)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
            ],
            options={
                'db_table': 'price_version',
                'abstract': False,
                'base_manager_name': 'objects',
                'constraints': [models.UniqueConstraint(fields=('book', 'model', 'valid_from'), name='price_version_once'), models.CheckConstraint(condition=models.Q(('audio_in_ubt__gte', 0), ('audio_out_ubt__gte', 0), ('cache_write_1h_ubt__gte', 0), ('cache_write_5m_ubt__gte', 0), ('cached_input_ubt__gte', 0), ('character_ubt__gte', 0), ('image_ubt__gte', 0), ('input_ubt__gte', 0), ('output_ubt__gte', 0), ('reasoning_ubt__gte', 0), ('request_ubt__gte', 0), ('search_ubt__gte', 0), ('second_ubt__gte', 0)), name='price_version_not_negative'), models.UniqueConstraint(fields=('tenant', 'id'), name='price_version_tenant_id'), billing.guards.SameTenant(field='book', name='price_version_book_tenant')],
            },
        ),
        migrations.CreateModel(
            name='PriceTier',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('input_ubt', models.BigIntegerField(default=0)),
                ('cached_input_ubt', models.BigIntegerField(default=0)),
                ('cache_write_5m_ubt', models.BigIntegerField(default=0)),
                ('cache_write_1h_ubt', models.BigIntegerField(default=0)),
                ('output_ubt', models.BigIntegerField(default=0)),
                ('reasoning_ubt', models.BigIntegerField(default=0)),
                ('audio_in_ubt', models.BigIntegerField(default=0)),
                ('audio_out_ubt', models.BigIntegerField(default=0)),
                ('image_ubt', models.BigIntegerField(default=0)),
                ('second_ubt', models.BigIntegerField(default=0)),
                ('character_ubt', models.BigIntegerField(default=0)),
                ('request_ubt', models.BigIntegerField(default=0)),
                ('search_ubt', models.BigIntegerField(default=0)),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='billing.tenant')),
                ('version', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='tiers', to='billing.priceversion')),
                ('min_input', models.PositiveIntegerField()),
            ],
            options={
                'db_table': 'price_tier',
                'abstract': False,
                'base_manager_name': 'objects',
                'constraints': [models.UniqueConstraint(fields=('version', 'min_input'), name='price_tier_once'), models.CheckConstraint(condition=models.Q(('audio_in_ubt__gte', 0), ('audio_out_ubt__gte', 0), ('cache_write_1h_ubt__gte', 0), ('cache_write_5m_ubt__gte', 0), ('cached_input_ubt__gte', 0), ('character_ubt__gte', 0), ('image_ubt__gte', 0), ('input_ubt__gte', 0), ('output_ubt__gte', 0), ('reasoning_ubt__gte', 0), ('request_ubt__gte', 0), ('search_ubt__gte', 0), ('second_ubt__gte', 0)), name='price_tier_not_negative'), billing.guards.SameTenant(field='version', name='price_tier_version_tenant')],
            },
        ),
        billing.guards.InstallGuards(
        ),
    ]
