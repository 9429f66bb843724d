"""The platform's list starts with vendors' list prices, so a new shop can sell at once.

An installation that has prices already keeps them.
"""

from django.conf import settings
from django.db import migrations
from django.utils import timezone

from billing import catalogue


def publish_starter_prices(apps, schema_editor):
    model = lambda name: apps.get_model("billing", name)
    platform = model("Tenant").objects.get(is_platform=True)
    book, is_new = model("PriceBook").objects.get_or_create(
        tenant=platform, purpose="retail", group="", customer=None
    )
    if not is_new:
        return
    now = timezone.now()
    for price in catalogue.starter_prices(settings.BASE_TOKEN_USD_PER_MILLION):
        columns = catalogue.version_columns(price)
        version = model("PriceVersion").objects.create(
            tenant=platform, book=book, valid_from=now, **columns
        )
        for tier in price.tiers:
            model("PriceTier").objects.create(
                tenant=platform, version=version, **catalogue.tier_columns(tier)
            )


class Migration(migrations.Migration):

    dependencies = [("billing", "0006_platform")]

    operations = [migrations.RunPython(publish_starter_prices, migrations.RunPython.noop)]
