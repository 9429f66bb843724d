"""Generic routes, and what upstreams keep for a wallet: responses, videos, jobs."""

import billing.guards
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('billing', '0012_waiting_events'),
        ('relay', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='GenericRoute',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=60)),
                ('prefix', models.CharField(max_length=100)),
                ('upstream_prefix', models.CharField(blank=True, max_length=100)),
                ('methods', models.JSONField(default=list)),
                ('price_model', models.CharField(blank=True, max_length=64)),
                ('task_field', models.CharField(blank=True, max_length=64)),
                ('poll_path', models.CharField(blank=True, max_length=200)),
                ('state_field', models.CharField(blank=True, max_length=64)),
                ('done_values', models.JSONField(blank=True, default=list)),
                ('failed_values', models.JSONField(blank=True, default=list)),
                ('is_enabled', models.BooleanField(default=True)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('channel', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='routes', to='relay.channel')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='billing.tenant')),
            ],
            options={
                'db_table': 'generic_route',
                'abstract': False,
                'base_manager_name': 'objects',
                'constraints': [models.UniqueConstraint(fields=('tenant', 'prefix'), name='generic_route_once'), models.UniqueConstraint(fields=('tenant', 'id'), name='generic_route_tenant_id'), billing.guards.SameTenant(field='channel', name='generic_route_channel_tenant')],
            },
        ),
        migrations.CreateModel(
            name='UpstreamObject',
            fields=[
                ('id', models.UUIDField(primary_key=True, serialize=False)),
                ('wallet_id', models.BigIntegerField()),
                ('key_id', models.BigIntegerField()),
                ('channel_id', models.BigIntegerField()),
                ('credential_id', models.BigIntegerField()),
                ('route_id', models.BigIntegerField(null=True)),
                ('kind', models.CharField(max_length=16)),
                ('upstream_id', models.CharField(max_length=128)),
                ('model', models.CharField(blank=True, max_length=64)),
                ('second_count', models.IntegerField(default=0)),
                ('size', models.CharField(blank=True, max_length=16)),
                ('state', models.CharField(default='done', max_length=16)),
                ('poll_count', models.IntegerField(default=0)),
                ('next_poll_at', models.DateTimeField(null=True)),
                ('given_back_at', models.DateTimeField(null=True)),
                ('given_back_ubt', models.BigIntegerField(default=0)),
                ('created_at', models.DateTimeField()),
                ('expires_at', models.DateTimeField()),
                ('tenant', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='billing.tenant')),
            ],
            options={
                'db_table': 'upstream_object',
                'abstract': False,
                'base_manager_name': 'objects',
                'indexes': [models.Index(fields=['wallet_id', 'kind', 'upstream_id'], name='upstream_object_owner'), models.Index(condition=models.Q(('next_poll_at__isnull', False)), fields=['next_poll_at'], name='upstream_object_poll'), models.Index(fields=['expires_at'], name='upstream_object_expiry')],
                'constraints': [models.CheckConstraint(condition=models.Q(('given_back_ubt__gte', 0), ('second_count__gte', 0)), name='upstream_object_amounts_not_negative')],
            },
        ),
        billing.guards.InstallGuards(
        ),
    ]
