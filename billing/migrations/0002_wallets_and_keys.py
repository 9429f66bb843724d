"""What is owed to whom, and the keys that spend it."""

import billing.guards
import django.db.models.deletion
import django.db.models.expressions
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('billing', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='Wallet',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='billing.tenant')),
                ('owner', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('name', models.CharField(blank=True, max_length=60)),
                ('credits_ubt', models.BigIntegerField(default=0)),
                ('debits_ubt', models.BigIntegerField(default=0)),
                ('pending_ubt', models.BigIntegerField(default=0)),
                ('debt_ubt', models.BigIntegerField(default=0)),
                ('status', models.CharField(default='active', max_length=16)),
                ('expires_at', models.DateTimeField(blank=True, null=True)),
                ('expired_at', models.DateTimeField(blank=True, null=True)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
            ],
            options={
                'db_table': 'wallet',
                'abstract': False,
                'base_manager_name': 'objects',
                'indexes': [models.Index(condition=models.Q(('expires_at__isnull', False)), fields=['expires_at'], name='wallet_expiry')],
                'constraints': [models.CheckConstraint(condition=models.Q(('credits_ubt__gte', 0), ('debits_ubt__gte', 0), ('pending_ubt__gte', 0), ('debt_ubt__gte', 0)), name='wallet_amounts_not_negative'), models.CheckConstraint(condition=models.Q(('credits_ubt__gte', django.db.models.expressions.CombinedExpression(models.F('debits_ubt'), '+', models.F('pending_ubt')))), name='wallet_never_overspent'), models.CheckConstraint(condition=models.Q(('credits_ubt__lt', 4611686018427387904)), name='wallet_sum_below_2_62'), models.UniqueConstraint(fields=('tenant', 'id'), name='wallet_tenant_id')],
            },
        ),
        migrations.CreateModel(
            name='ApiKey',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='billing.tenant')),
                ('wallet', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='api_keys', to='billing.wallet')),
                ('kid', models.CharField(max_length=8, unique=True)),
                ('mac', models.BinaryField(max_length=32)),
                ('pepper_version', models.SmallIntegerField()),
                ('prefix', models.CharField(default='ak-', max_length=8)),
                ('hint', models.CharField(max_length=4)),
                ('name', models.CharField(blank=True, max_length=60)),
                ('status', models.CharField(default='active', max_length=16)),
                ('expires_at', models.DateTimeField(blank=True, null=True)),
                ('expired_at', models.DateTimeField(blank=True, null=True)),
                ('revoked_at', models.DateTimeField(blank=True, null=True)),
                ('limit_ubt', models.BigIntegerField(blank=True, null=True)),
                ('spent_ubt', models.BigIntegerField(default=0)),
                ('pending_ubt', models.BigIntegerField(default=0)),
                ('budget_period', models.CharField(blank=True, max_length=8)),
                ('budget_ubt', models.BigIntegerField(blank=True, null=True)),
                ('allowed_models', models.JSONField(blank=True, default=list)),
                ('allowed_endpoints', models.JSONField(blank=True, default=list)),
                ('allowed_addresses', models.JSONField(blank=True, default=list)),
                ('rpm', models.PositiveIntegerField(blank=True, null=True)),
                ('tpm', models.PositiveIntegerField(blank=True, null=True)),
                ('concurrency', models.PositiveIntegerField(blank=True, null=True)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
            ],
            options={
                'db_table': 'api_key',
                'abstract': False,
                'base_manager_name': 'objects',
                'indexes': [models.Index(condition=models.Q(('expires_at__isnull', False)), fields=['expires_at'], name='api_key_expiry')],
                'constraints': [models.CheckConstraint(condition=models.Q(('spent_ubt__gte', 0), ('pending_ubt__gte', 0)), name='api_key_amounts_not_negative'), models.CheckConstraint(condition=models.Q(('limit_ubt__isnull', True), ('limit_ubt__gte', django.db.models.expressions.CombinedExpression(models.F('spent_ubt'), '+', models.F('pending_ubt'))), _connector='OR'), name='api_key_cap_never_overspent'), models.UniqueConstraint(fields=('tenant', 'id'), name='api_key_tenant_id'), billing.guards.SameTenant(field='wallet', name='api_key_wallet_tenant')],
            },
        ),
        migrations.CreateModel(
            name='BudgetWindow',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='billing.tenant')),
                ('key', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='budget_windows', to='billing.apikey')),
                ('period', models.CharField(max_length=8)),
                ('starts_at', models.DateTimeField()),
                ('limit_ubt', models.BigIntegerField()),
                ('spent_ubt', models.BigIntegerField(default=0)),
                ('pending_ubt', models.BigIntegerField(default=0)),
            ],
            options={
                'db_table': 'budget_window',
                'abstract': False,
                'base_manager_name': 'objects',
                'constraints': [models.UniqueConstraint(fields=('key', 'period', 'starts_at'), name='budget_window_once'), models.CheckConstraint(condition=models.Q(('spent_ubt__gte', 0), ('pending_ubt__gte', 0), ('limit_ubt__gte', django.db.models.expressions.CombinedExpression(models.F('spent_ubt'), '+', models.F('pending_ubt')))), name='budget_window_never_overspent'), billing.guards.SameTenant(field='key', name='budget_window_key_tenant')],
            },
        ),
        billing.guards.InstallGuards(
        ),
    ]
