"""Refunds, disputes, receipts, coupons, codes, price steps, credit, and payments by hand."""

import billing.guards
import billing.ids
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

from billing.guards import InstallGuards


class Migration(migrations.Migration):

    dependencies = [
        ('billing', '0010_purchases'),
    ]

    operations = [
        migrations.AddField(
            model_name='democharge',
            name='dispute',
            field=models.CharField(blank=True, db_default='', default='', max_length=8),
        ),
        migrations.AddField(
            model_name='democharge',
            name='refunded_minor',
            field=models.BigIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name='democharge',
            name='refunds',
            field=models.JSONField(blank=True, db_default=models.Value([], models.JSONField()), default=list),
        ),
        migrations.AddField(
            model_name='order',
            name='discount_minor',
            field=models.BigIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name='order',
            name='user',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='orderline',
            name='wallet',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='billing.wallet'),
        ),
        migrations.AddField(
            model_name='payment',
            name='closed_at',
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='payment',
            name='qr_text',
            field=models.CharField(blank=True, db_default='', default='', max_length=1000),
        ),
        migrations.AddField(
            model_name='payment',
            name='received_minor',
            field=models.BigIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='paymentinstance',
            name='instructions',
            field=models.TextField(blank=True, db_default='', default='', max_length=2000),
        ),
        migrations.AddField(
            model_name='paymentinstance',
            name='refused_at',
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='paymentinstance',
            name='refused_count',
            field=models.PositiveIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name='paymentinstance',
            name='test_error',
            field=models.CharField(blank=True, db_default='', default='', max_length=200),
        ),
        migrations.AddField(
            model_name='paymentinstance',
            name='tested_at',
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='product',
            name='ends_at',
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='product',
            name='max_per_day',
            field=models.PositiveIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='product',
            name='max_per_person',
            field=models.PositiveIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='product',
            name='starts_at',
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='refund',
            name='check_count',
            field=models.PositiveIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name='refund',
            name='checked_at',
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='refund',
            name='done_at',
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='refund',
            name='failure',
            field=models.CharField(blank=True, db_default='', default='', max_length=200),
        ),
        migrations.AddField(
            model_name='refund',
            name='origin',
            field=models.CharField(db_default='shop', default='shop', max_length=16),
        ),
        migrations.AddField(
            model_name='refund',
            name='reference',
            field=models.CharField(blank=True, db_default='', default='', max_length=128),
        ),
        migrations.AddField(
            model_name='refund',
            name='sent_at',
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='tenant',
            name='mails_keys',
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.AddField(
            model_name='tenant',
            name='seller',
            field=models.TextField(blank=True, db_default='', default='', max_length=500),
        ),
        migrations.AddIndex(
            model_name='refund',
            index=models.Index(condition=models.Q(('status', 'pending')), fields=['id'], name='refund_pending'),
        ),
        migrations.AddConstraint(
            model_name='order',
            constraint=models.CheckConstraint(condition=models.Q(('discount_minor__gte', 0)), name='order_discount'),
        ),
        migrations.AddConstraint(
            model_name='orderline',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('kind', 'credit'), ('quantity', 1), ('wallet__isnull', False)), models.Q(models.Q(('kind', 'credit'), _negated=True), ('wallet__isnull', True)), _connector='OR'), name='order_line_credit_has_wallet'),
        ),
        migrations.AddConstraint(
            model_name='orderline',
            constraint=billing.guards.SameTenant(field='wallet', name='order_line_wallet_tenant'),
        ),
        migrations.AddConstraint(
            model_name='refund',
            constraint=models.UniqueConstraint(fields=('tenant', 'id'), name='refund_tenant_id'),
        ),
        migrations.CreateModel(
            name='PriceStep',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='billing.tenant')),
                ('product', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='steps', to='billing.product')),
                ('min_quantity', models.PositiveIntegerField()),
                ('unit_minor', models.BigIntegerField()),
            ],
            options={
                'db_table': 'price_step',
                'ordering': ('min_quantity',),
                'abstract': False,
                'base_manager_name': 'objects',
                'constraints': [models.UniqueConstraint(fields=('product', 'min_quantity'), name='price_step_once'), models.CheckConstraint(condition=models.Q(('min_quantity__gt', 1), ('unit_minor__gt', 0)), name='price_step_amounts'), billing.guards.SameTenant(field='product', name='price_step_product_tenant')],
            },
        ),
        migrations.CreateModel(
            name='Coupon',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='billing.tenant')),
                ('code', models.CharField(max_length=32)),
                ('note', models.CharField(blank=True, max_length=120)),
                ('percent', models.PositiveSmallIntegerField(blank=True, null=True)),
                ('amount_minor', models.BigIntegerField(blank=True, null=True)),
                ('minimum_minor', models.BigIntegerField(default=0)),
                ('max_uses', models.PositiveIntegerField(blank=True, null=True)),
                ('max_per_person', models.PositiveIntegerField(blank=True, default=1, null=True)),
                ('used_count', models.PositiveIntegerField(default=0)),
                ('starts_at', models.DateTimeField(blank=True, null=True)),
                ('ends_at', models.DateTimeField(blank=True, null=True)),
                ('is_active', models.BooleanField(default=True)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
            ],
            options={
                'db_table': 'coupon',
                'ordering': ('-id',),
                'abstract': False,
                'base_manager_name': 'objects',
                'constraints': [models.UniqueConstraint(fields=('tenant', 'code'), name='coupon_code'), models.UniqueConstraint(fields=('tenant', 'id'), name='coupon_tenant_id'), models.CheckConstraint(condition=models.Q(models.Q(('amount_minor__isnull', True), ('percent__gte', 1), ('percent__lte', 100)), models.Q(('amount_minor__gt', 0), ('percent__isnull', True)), _connector='OR'), name='coupon_takes_one_thing'), models.CheckConstraint(condition=models.Q(('minimum_minor__gte', 0)), name='coupon_minimum')],
            },
        ),
        migrations.CreateModel(
            name='CouponProduct',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='billing.tenant')),
                ('coupon', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='products', to='billing.coupon')),
                ('product', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='billing.product')),
            ],
            options={
                'db_table': 'coupon_product',
                'abstract': False,
                'base_manager_name': 'objects',
                'constraints': [models.UniqueConstraint(fields=('coupon', 'product'), name='coupon_product_once'), billing.guards.SameTenant(field='coupon', name='coupon_product_coupon_tenant'), billing.guards.SameTenant(field='product', name='coupon_product_product_tenant')],
            },
        ),
        migrations.CreateModel(
            name='CouponUse',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='billing.tenant')),
                ('coupon', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='uses', to='billing.coupon')),
                ('order', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='coupon_use', to='billing.order')),
                ('mailbox_hash', models.CharField(max_length=64)),
                ('discount_minor', models.BigIntegerField()),
                ('given_back_at', models.DateTimeField(blank=True, null=True)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
            ],
            options={
                'db_table': 'coupon_use',
                'abstract': False,
                'base_manager_name': 'objects',
                'indexes': [models.Index(condition=models.Q(('given_back_at__isnull', True)), fields=['coupon', 'mailbox_hash'], name='coupon_use_person')],
                'constraints': [models.CheckConstraint(condition=models.Q(('discount_minor__gt', 0)), name='coupon_use_discount'), billing.guards.SameTenant(field='coupon', name='coupon_use_coupon_tenant'), billing.guards.SameTenant(field='order', name='coupon_use_order_tenant')],
            },
        ),
        migrations.CreateModel(
            name='CodeBatch',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(default='key', max_length=16)),
                ('name', models.CharField(blank=True, max_length=60)),
                ('grant_ubt', models.BigIntegerField()),
                ('valid_days', models.PositiveIntegerField(blank=True, null=True)),
                ('allowed_models', models.JSONField(blank=True, default=list)),
                ('rpm', models.PositiveIntegerField(blank=True, null=True)),
                ('tpm', models.PositiveIntegerField(blank=True, null=True)),
                ('concurrency', models.PositiveIntegerField(blank=True, null=True)),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='billing.tenant')),
                ('product', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='billing.product')),
                ('public_id', models.UUIDField(default=billing.ids.uuid7, editable=False, unique=True)),
                ('note', models.CharField(blank=True, max_length=120)),
                ('count', models.PositiveIntegerField()),
                ('sealed_codes', models.BinaryField(blank=True, null=True)),
                ('exported_at', models.DateTimeField(blank=True, null=True)),
                ('exported_by', models.CharField(blank=True, max_length=64)),
                ('ends_at', models.DateTimeField(blank=True, null=True)),
                ('is_active', models.BooleanField(default=True)),
                ('actor', models.CharField(blank=True, max_length=64)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
            ],
            options={
                'db_table': 'code_batch',
                'ordering': ('-id',),
                'abstract': False,
                'base_manager_name': 'objects',
                'constraints': [models.UniqueConstraint(fields=('tenant', 'id'), name='code_batch_tenant_id'), models.CheckConstraint(condition=models.Q(('count__gt', 0), ('grant_ubt__gt', 0)), name='code_batch_amounts'), models.CheckConstraint(condition=models.Q(('sealed_codes__isnull', False), ('exported_at__isnull', False), _connector='OR'), name='code_batch_sealed_or_exported'), billing.guards.SameTenant(field='product', name='code_batch_product_tenant')],
            },
        ),
        migrations.CreateModel(
            name='RedemptionCode',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='billing.tenant')),
                ('batch', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='codes', to='billing.codebatch')),
                ('digest', models.CharField(max_length=64)),
                ('hint', models.CharField(max_length=4)),
                ('order', models.OneToOneField(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='code', to='billing.order')),
                ('used_at', models.DateTimeField(blank=True, null=True)),
                ('revoked_at', models.DateTimeField(blank=True, null=True)),
            ],
            options={
                'db_table': 'redemption_code',
                'abstract': False,
                'base_manager_name': 'objects',
                'constraints': [models.UniqueConstraint(fields=('tenant', 'digest'), name='redemption_code_once'), models.CheckConstraint(condition=models.Q(models.Q(('order__isnull', True), ('used_at__isnull', True)), models.Q(('order__isnull', False), ('used_at__isnull', False)), _connector='OR'), name='redemption_code_used_by_order'), billing.guards.SameTenant(field='batch', name='redemption_code_batch_tenant'), billing.guards.SameTenant(field='order', name='redemption_code_order_tenant')],
            },
        ),
        migrations.CreateModel(
            name='Dispute',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='billing.tenant')),
                ('payment', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='disputes', to='billing.payment')),
                ('public_id', models.UUIDField(default=billing.ids.uuid7, editable=False, unique=True)),
                ('reference', models.CharField(max_length=128)),
                ('status', models.CharField(default='open', max_length=16)),
                ('amount_minor', models.BigIntegerField()),
                ('reason', models.CharField(blank=True, max_length=64)),
                ('frozen_wallets', models.JSONField(blank=True, default=list)),
                ('closed_at', models.DateTimeField(blank=True, null=True)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
            ],
            options={
                'db_table': 'dispute',
                'abstract': False,
                'base_manager_name': 'objects',
                'constraints': [models.UniqueConstraint(fields=('payment', 'reference'), name='dispute_once'), models.CheckConstraint(condition=models.Q(('amount_minor__gt', 0)), name='dispute_amount'), models.UniqueConstraint(fields=('tenant', 'id'), name='dispute_tenant_id'), billing.guards.SameTenant(field='payment', name='dispute_payment_tenant')],
            },
        ),
        migrations.CreateModel(
            name='ManualReceipt',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='billing.tenant')),
                ('payment', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='manual_receipt', to='billing.payment')),
                ('amount_minor', models.BigIntegerField()),
                ('note', models.CharField(blank=True, max_length=200)),
                ('actor', models.CharField(max_length=64)),
                ('received_at', models.DateTimeField()),
                ('created_at', models.DateTimeField(auto_now_add=True)),
            ],
            options={
                'db_table': 'manual_receipt',
                'abstract': False,
                'base_manager_name': 'objects',
                'constraints': [models.CheckConstraint(condition=models.Q(('amount_minor__gt', 0)), name='manual_receipt_amount'), billing.guards.SameTenant(field='payment', name='manual_receipt_payment_tenant')],
            },
        ),
        migrations.CreateModel(
            name='ReceiptCounter',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='billing.tenant')),
                ('year', models.PositiveSmallIntegerField()),
                ('last', models.PositiveIntegerField(default=0)),
            ],
            options={
                'db_table': 'receipt_counter',
                'abstract': False,
                'base_manager_name': 'objects',
                'constraints': [models.UniqueConstraint(fields=('tenant', 'year'), name='receipt_counter_once')],
            },
        ),
        migrations.CreateModel(
            name='Receipt',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='billing.tenant')),
                ('number', models.CharField(max_length=24)),
                ('payment', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='receipts', to='billing.payment')),
                ('cancels', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='counters', to='billing.receipt')),
                ('refund', models.OneToOneField(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='receipt', to='billing.refund')),
                ('dispute', models.OneToOneField(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='receipt', to='billing.dispute')),
                ('amount_minor', models.BigIntegerField()),
                ('currency', models.CharField(max_length=3)),
                ('seller', models.TextField(max_length=700)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
            ],
            options={
                'db_table': 'receipt',
                'ordering': ('-id',),
                'abstract': False,
                'base_manager_name': 'objects',
                'indexes': [models.Index(fields=['tenant', 'created_at'], name='receipt_month')],
                'constraints': [models.UniqueConstraint(fields=('tenant', 'number'), name='receipt_number'), models.UniqueConstraint(condition=models.Q(('cancels__isnull', True)), fields=('payment',), name='receipt_once'), models.UniqueConstraint(fields=('tenant', 'id'), name='receipt_tenant_id'), models.CheckConstraint(condition=models.Q(('amount_minor__gt', 0)), name='receipt_amount'), models.CheckConstraint(condition=models.Q(models.Q(('cancels__isnull', True), ('dispute__isnull', True), ('refund__isnull', True)), models.Q(('cancels__isnull', False), ('dispute__isnull', True), ('refund__isnull', False)), models.Q(('cancels__isnull', False), ('dispute__isnull', False), ('refund__isnull', True)), _connector='OR'), name='receipt_cancels_for_a_cause'), billing.guards.SameTenant(field='payment', name='receipt_payment_tenant'), billing.guards.SameTenant(field='cancels', name='receipt_cancels_tenant'), billing.guards.SameTenant(field='refund', name='receipt_refund_tenant'), billing.guards.SameTenant(field='dispute', name='receipt_dispute_tenant')],
            },
        ),
        InstallGuards(),
    ]
