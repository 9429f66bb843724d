"""Channels with their sealed credentials and models."""

import billing.guards
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('billing', '0003_prices'),
    ]

    operations = [
        migrations.CreateModel(
            name='Channel',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='billing.tenant')),
                ('name', models.CharField(max_length=60)),
                ('provider', models.CharField(max_length=16)),
                ('base_url', models.CharField(blank=True, max_length=300)),
                ('allows_private_network', models.BooleanField(default=False)),
                ('priority', models.IntegerField(default=0)),
                ('weight', models.PositiveIntegerField(default=1)),
                ('concurrency', models.PositiveIntegerField(blank=True, null=True)),
                ('allowed_endpoints', models.JSONField(blank=True, default=list)),
                ('extra_headers', models.JSONField(blank=True, default=dict)),
                ('proxy_url', models.CharField(blank=True, max_length=300)),
                ('connect_timeout_ms', models.PositiveIntegerField(default=5000)),
                ('first_byte_timeout_ms', models.PositiveIntegerField(default=300000)),
                ('idle_timeout_ms', models.PositiveIntegerField(default=120000)),
                ('total_timeout_ms', models.PositiveIntegerField(default=1800000)),
                ('test_model', models.CharField(blank=True, max_length=64)),
                ('cost_book', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='billing.pricebook')),
                ('is_enabled', models.BooleanField(default=True)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
            ],
            options={
                'db_table': 'channel',
                'abstract': False,
                'base_manager_name': 'objects',
                'constraints': [models.UniqueConstraint(fields=('tenant', 'name'), name='channel_name_once'), models.UniqueConstraint(fields=('tenant', 'id'), name='channel_tenant_id'), models.CheckConstraint(condition=models.Q(('weight__gte', 1)), name='channel_weight_positive'), billing.guards.SameTenant(field='cost_book', name='channel_cost_book_tenant')],
            },
        ),
        migrations.CreateModel(
            name='ChannelCredential',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='billing.tenant')),
                ('channel', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='credentials', to='relay.channel')),
                ('sealed', models.BinaryField(max_length=4096)),
                ('hint', models.CharField(max_length=16)),
                ('is_enabled', models.BooleanField(default=True)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
            ],
            options={
                'db_table': 'channel_credential',
                'abstract': False,
                'base_manager_name': 'objects',
                'constraints': [billing.guards.SameTenant(field='channel', name='channel_credential_channel_tenant')],
            },
        ),
        migrations.CreateModel(
            name='ChannelModel',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='billing.tenant')),
                ('channel', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='models', to='relay.channel')),
                ('asked', models.CharField(max_length=64)),
                ('served', models.CharField(max_length=64)),
            ],
            options={
                'db_table': 'channel_model',
                'abstract': False,
                'base_manager_name': 'objects',
                'constraints': [models.UniqueConstraint(fields=('channel', 'asked'), name='channel_model_once'), billing.guards.SameTenant(field='channel', name='channel_model_channel_tenant')],
            },
        ),
        billing.guards.InstallGuards(
        ),
    ]
