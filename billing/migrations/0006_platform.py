"""The platform is a tenant like any other; what it shares is read through explicit functions."""

from django.db import migrations


def make_platform(apps, schema_editor):
    tenants = apps.get_model("billing", "Tenant")
    tenants.objects.get_or_create(
        is_platform=True, defaults={"slug": "platform", "name": "Platform"}
    )


class Migration(migrations.Migration):

    dependencies = [("billing", "0005_findings")]

    operations = [migrations.RunPython(make_platform, migrations.RunPython.noop)]
