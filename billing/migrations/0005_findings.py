"""What background jobs leave behind."""

import billing.guards
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('billing', '0004_ledger'),
    ]

    operations = [
        migrations.CreateModel(
            name='ReconcileRun',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('started_at', models.DateTimeField()),
                ('finished_at', models.DateTimeField()),
                ('wallet_count', models.IntegerField()),
                ('finding_count', models.IntegerField()),
            ],
            options={
                'db_table': 'reconcile_run',
            },
        ),
        migrations.CreateModel(
            name='ReconcileFinding',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='billing.tenant')),
                ('run', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='billing.reconcilerun')),
                ('invariant', models.CharField(max_length=16)),
                ('subject', models.CharField(max_length=64)),
                ('observed', models.CharField(max_length=120)),
                ('expected', models.CharField(max_length=120)),
                ('repair', models.CharField(blank=True, max_length=200)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
            ],
            options={
                'db_table': 'reconcile_finding',
                'abstract': False,
                'base_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='ReaperPass',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('watching_since', models.DateTimeField()),
                ('last_pass_at', models.DateTimeField()),
            ],
            options={
                'db_table': 'reaper_pass',
            },
        ),
        migrations.CreateModel(
            name='Notice',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='billing.tenant')),
                ('kind', models.CharField(max_length=24)),
                ('subject', models.CharField(max_length=64)),
                ('due_at', models.DateTimeField()),
                ('sent_at', models.DateTimeField(blank=True, null=True)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
            ],
            options={
                'db_table': 'notice',
                'abstract': False,
                'base_manager_name': 'objects',
                'constraints': [models.UniqueConstraint(fields=('tenant', 'kind', 'subject', 'due_at'), name='notice_once')],
            },
        ),
        billing.guards.InstallGuards(
        ),
    ]
