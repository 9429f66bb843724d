"""The outbox is emptied through a real mail server: once each, and again only after a failure."""

from datetime import timedelta
from email.utils import parseaddr
from typing import Any

import pytest
from django.db.models import F
from django.utils import timezone
from pytest_django import Settings

from billing.models import Mail, Tenant
from portal.mail.delivery import deliver
from portal.mail.envelope import sender_of
from portal.tasks import deliver_mail
from tests.fakes.smtp import FakeSmtp
from tests.sales import Sale, mail_of, sell


def write(sale: Sale, recipient: str = "li@example.com", **columns: Any) -> Mail:
    columns = {"kind": "order", "subject_id": sale.order.pk, "recipient": recipient, **columns}
    return mail_of(sale.order.tenant, **columns)


def again(mail: Mail) -> None:
    """Let the time of the next try come."""
    Mail.objects.filter(pk=mail.pk).update(next_try_at=timezone.now() - timedelta(seconds=1))


def outcome(mail: Mail) -> tuple[str, str]:
    mail.refresh_from_db()
    return mail.status, mail.last_error


def test_a_mail_is_sent_once(sale: Sale, smtp: FakeSmtp) -> None:
    mail = write(sale)
    assert (deliver_mail(), deliver_mail()) == (1, 0)
    assert [received.recipient for received in smtp.received] == ["li@example.com"]
    assert outcome(mail) == (Mail.SENT, "")


def test_a_mail_has_both_forms_and_says_that_a_program_wrote_it(sale: Sale, smtp: FakeSmtp) -> None:
    write(sale, kind="order_link")
    deliver()
    message = smtp.received[0].message
    assert message.get_content_type() == "multipart/alternative"
    kinds = [part.get_content_type() for part in message.iter_parts()]
    assert kinds == ["text/plain", "text/html"]
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["List-Id"] == "<orders.north.example>"
    assert message["Reply-To"] == "help@n.example"


def test_a_shop_sends_under_its_name_from_the_address_of_the_installation(
    sale: Sale, smtp: FakeSmtp
) -> None:
    write(sale)
    deliver()
    assert smtp.received[0].sender == "shop@platform.example"
    assert parseaddr(smtp.received[0].message["From"]) == ("北辰 API", "shop@platform.example")
    assert smtp.received[0].message["Subject"].strip().startswith("你的密钥")


@pytest.mark.parametrize(
    "name", ['A "quoted", comma; name <x@y.example>', "back\\slash", "x\r\nBcc: all@evil.example"]
)
def test_no_name_of_a_shop_adds_a_header_or_an_address(
    sale: Sale, smtp: FakeSmtp, name: str
) -> None:
    Tenant.objects.filter(pk=sale.order.tenant_id).update(name=name)
    write(sale)
    assert deliver() == 1
    message = smtp.received[0].message
    assert message["Bcc"] is None
    assert [address.addr_spec for address in message["From"].addresses] == ["shop@platform.example"]
    assert "\n" not in sender_of(Tenant(name=name))


@pytest.mark.parametrize(
    "address",
    [
        "li@example.com\r\nBcc: all@evil.example",
        "li@example.com, all@evil.example",
        "li@example.com\nRCPT TO:<all@evil.example>",
        "李@example.com",
        "no address",
        "",
    ],
)
def test_what_is_no_single_address_gets_no_mail(sale: Sale, smtp: FakeSmtp, address: str) -> None:
    mail = write(sale, address)
    assert deliver() == 0
    assert not smtp.received
    assert outcome(mail)[0] == Mail.FAILED


def test_a_domain_with_other_letters_is_written_in_ascii(sale: Sale, smtp: FakeSmtp) -> None:
    write(sale, "li@例子.example")
    deliver()
    assert smtp.received[0].recipient == "li@xn--fsqu00a.example"


def test_an_unknown_mailbox_is_not_tried_again(sale: Sale, smtp: FakeSmtp) -> None:
    mail = write(sale, "refused@example.com")
    deliver()
    assert outcome(mail) == (Mail.FAILED, "550 5.1.1 no such mailbox")


def test_a_greylisted_mail_arrives_at_the_second_try(sale: Sale, smtp: FakeSmtp) -> None:
    mail = write(sale, "greylisted@example.com")
    assert deliver() == 0
    assert outcome(mail) == (Mail.WAITING, "451 4.7.1 greylisted, try again")
    assert deliver() == 0
    again(mail)
    assert deliver() == 1


@pytest.mark.parametrize("trouble", ["hang", "drop", "refused", "greylisted"])
def test_one_mail_in_trouble_does_not_keep_back_the_others(
    sale: Sale, smtp: FakeSmtp, trouble: str
) -> None:
    for recipient in ("first@example.com", f"{trouble}@example.com", "last@example.com"):
        write(sale, recipient)
    assert deliver() == 2
    took = {received.recipient for received in smtp.received}
    assert took == {"first@example.com", "last@example.com"}


def test_a_mail_that_can_not_be_written_does_not_keep_back_the_others(
    sale: Sale, south: Any, smtp: FakeSmtp
) -> None:
    contact = "help@n.example\r\nBcc: all@evil.example"
    Tenant.objects.filter(pk=sale.order.tenant_id).update(contact_email=contact)
    stuck = write(sale)
    write(sell(south.tenant), "last@example.com")
    assert deliver() == 1
    assert outcome(stuck) == (Mail.WAITING, "not written: BadHeaderError")
    assert [received.recipient for received in smtp.received] == ["last@example.com"]


@pytest.mark.parametrize("trouble", ["hang", "drop"])
def test_a_mail_whose_connection_broke_is_tried_again(
    sale: Sale, smtp: FakeSmtp, trouble: str
) -> None:
    mail = write(sale, f"{trouble}@example.com")
    deliver()
    status, error = outcome(mail)
    assert (status, bool(error)) == (Mail.WAITING, True)
    assert mail.next_try_at > timezone.now()


def test_a_server_that_is_away_is_asked_once_for_all_mails(
    sale: Sale, smtp: FakeSmtp, settings: Settings
) -> None:
    mails = [write(sale, f"{name}@example.com") for name in ("a", "b", "c")]
    settings.EMAIL_PORT = 9
    assert deliver() == 0
    assert {outcome(mail)[0] for mail in mails} == {Mail.WAITING}
    assert "ConnectionRefusedError" in mails[2].last_error


def test_a_wrong_password_of_ours_does_not_lose_mails(
    sale: Sale, smtp: FakeSmtp, settings: Settings
) -> None:
    smtp.password = "right"
    settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD = "me", "wrong"
    mail = write(sale)
    deliver()
    assert outcome(mail) == (Mail.WAITING, "535 wrong password")


def test_a_mail_that_is_sent_again_after_a_crash_has_the_same_id(
    sale: Sale, smtp: FakeSmtp
) -> None:
    mail = write(sale)
    deliver()
    Mail.objects.filter(pk=mail.pk).update(status=Mail.WAITING, try_count=F("try_count"))
    again(mail)
    deliver()
    first, second = (received.message["Message-ID"] for received in smtp.received)
    assert first == second
    assert first.endswith("@north.example>")


def test_two_mails_have_two_ids(sale: Sale, smtp: FakeSmtp) -> None:
    write(sale)
    write(sale)
    deliver()
    assert len({received.message["Message-ID"] for received in smtp.received}) == 2


def test_a_mail_about_something_that_is_gone_is_given_up(sale: Sale, smtp: FakeSmtp) -> None:
    mail = write(sale, subject_id=999_999)
    assert deliver() == 0
    assert outcome(mail) == (Mail.FAILED, "Order 999999 is gone")


def test_mails_of_two_shops_leave_in_one_go(sale: Sale, south: Any, smtp: FakeSmtp) -> None:
    theirs = sell(south.tenant)
    write(sale)
    write(theirs, "wang@example.com")
    assert deliver() == 2
    senders = {parseaddr(received.message["From"])[0] for received in smtp.received}
    assert senders == {"北辰 API", "South shop"}
