"""Redemption codes in the admin: made in batches, handed over once, shown by their ends."""

from collections.abc import Callable
from uuid import uuid4

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse

from billing import codes
from billing.models import CodeBatch, Product, RedemptionCode
from billing.scoping import tenant_scope
from tests.billing.orders import making
from tests.cast import Shop

Browser = Callable[..., Client]


@pytest.fixture
def batch(north: Shop) -> CodeBatch:
    """Two codes of north."""
    with tenant_scope(north.tenant.pk):
        return codes.make_batch(making.new_product(north.tenant), count=2, actor="test")


def press(visitor: Client, batch: CodeBatch, button: str) -> "tuple[int, str]":
    """Press a button of a batch; return the status and what came."""
    answer = visitor.post(reverse(f"admin:billing_codebatch_{button}", args=[batch.pk]))
    return answer.status_code, answer.text


def test_a_form_that_is_sent_twice_makes_one_batch(north: Shop, staff: Client) -> None:
    with tenant_scope(north.tenant.pk):
        product = making.new_product(north.tenant)
    form = {"product": product.pk, "count": "3", "note": "Fair", "once": str(uuid4())}
    for _ in range(2):
        assert staff.post("/admin/billing/codebatch/add/", form).status_code == 302
    with tenant_scope(north.tenant.pk):
        made = CodeBatch.objects.get()
        assert (made.count, made.codes.count(), made.note) == (3, 3, "Fair")
        assert made.actor == str(north.owner)
    assert LogEntry.objects.count() == 1


def test_a_batch_has_a_sensible_size_and_end(north: Shop, staff: Client) -> None:
    with tenant_scope(north.tenant.pk):
        product = making.new_product(north.tenant)
        form = {"product": product.pk, "count": "3", "ends_at_1": "8:00", "once": str(uuid4())}
        for wrong in ({"count": "0"}, {"count": "999999"}, {"ends_at_0": "2020-01-01"}):
            assert staff.post("/admin/billing/codebatch/add/", form | wrong).status_code == 200
        assert not CodeBatch.objects.exists()


def test_trials_and_other_shops_products_are_not_offered(
    north: Shop, south: Shop, staff: Client
) -> None:
    for shop, kind in ((north, Product.TRIAL), (south, Product.KEY)):
        with tenant_scope(shop.tenant.pk):
            price = 0 if kind == Product.TRIAL else 500
            product = making.new_product(shop.tenant, kind=kind, price_minor=price)
        form = {"product": product.pk, "count": "1", "once": str(uuid4())}
        assert staff.post("/admin/billing/codebatch/add/", form).status_code == 200


def test_codes_are_handed_over_once(staff: Client, batch: CodeBatch) -> None:
    status, file = press(staff, batch, "export")
    rows = file.splitlines()
    assert (status, rows[0], len(rows)) == (200, "code", 3)
    status, page = press(staff, batch, "export")
    assert "can&#x27;t be done any more" in page
    assert rows[1] not in page


def test_no_page_shows_a_code(north: Shop, staff: Client, batch: CodeBatch) -> None:
    _status, file = press(staff, batch, "export")
    with tenant_scope(north.tenant.pk):
        code = RedemptionCode.objects.order_by("pk").first()
    assert code
    pages = [
        staff.get(address).text
        for address in (
            "/admin/billing/codebatch/",
            "/admin/billing/redemptioncode/",
            reverse("admin:billing_codebatch_change", args=[batch.pk]),
            reverse("admin:billing_redemptioncode_change", args=[code.pk]),
        )
    ]
    assert not [row for row in file.splitlines()[1:] for page in pages if row[:17] in page]
    assert f"***{code.hint}" in pages[1]
    assert not [page for page in pages if code.digest in page]


def test_a_revoked_batch_is_not_handed_over(north: Shop, staff: Client, batch: CodeBatch) -> None:
    assert press(staff, batch, "revoke")[0] == 302
    with tenant_scope(north.tenant.pk):
        assert not RedemptionCode.objects.filter(revoked_at=None).exists()
    assert "can&#x27;t be done any more" in press(staff, batch, "export")[1]


def test_a_link_exports_nothing(north: Shop, staff: Client, batch: CodeBatch) -> None:
    page = staff.get(reverse("admin:billing_codebatch_export", args=[batch.pk]))
    assert "This is the only time" in page.text
    with tenant_scope(north.tenant.pk):
        assert CodeBatch.objects.get().exported_at is None


def test_codes_are_listed_by_what_became_of_them(
    north: Shop, staff: Client, batch: CodeBatch
) -> None:
    with tenant_scope(north.tenant.pk):
        first = RedemptionCode.objects.order_by("pk")[:1].get()
        RedemptionCode.objects.filter(pk=first.pk).update(revoked_at=batch.created_at)
    for state, count in (("unused", 1), ("used", 0), ("revoked", 1), ("over", 0)):
        page = staff.get(f"/admin/billing/redemptioncode/?state={state}")
        assert len(page.context["cl"].result_list) == count
