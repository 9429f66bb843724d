"""How mails leave, by the address in the environment: into files, by SMTP, with TLS or without."""

import email
import email.policy
import runpy
import ssl
import stat
from pathlib import Path
from typing import Any

import pytest
import trustme
from django.core import mail
from django.core.exceptions import ImproperlyConfigured
from pytest_django import Settings

from tests.fakes.smtp import FakeSmtp

SETTINGS = str(Path(__file__).resolve().parents[3] / "portal" / "settings.py")
MAIL_SETTINGS = ("BACKEND", "HOST", "PORT", "HOST_USER", "HOST_PASSWORD", "USE_TLS", "USE_SSL")


@pytest.fixture
def route(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> Any:
    """Return what makes mails go the way that an address in the environment says."""

    def go_by(url: str) -> dict[str, Any]:
        monkeypatch.setenv("TOLLGATE_EMAIL_URL", url)
        monkeypatch.setenv("TOLLGATE_MAIL_FROM", "shop@north.example")
        found = runpy.run_path(SETTINGS)
        for name in (*MAIL_SETTINGS, "FILE_PATH", "TIMEOUT"):
            setattr(settings, f"EMAIL_{name}", found[f"EMAIL_{name}"])
        settings.EMAIL_TIMEOUT = 3
        return found

    return go_by


@pytest.fixture
def certificate(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ssl.SSLContext:
    """A certificate for the loopback address, by an authority that this process believes."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    return served_by(authority)


def served_by(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


def send(recipient: str = "li@example.com") -> None:
    mail.EmailMessage("Hello", "text", "shop@north.example", [recipient]).send()


def test_mails_are_files_in_the_state_folder_unless_told_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("TOLLGATE_EMAIL_URL", raising=False)
    found = runpy.run_path(SETTINGS)
    assert found["EMAIL_BACKEND"] == "portal.mail.files.EmlBackend"
    assert Path(found["EMAIL_FILE_PATH"]) == Path(found["STATE_DIR"]) / "mail"


def test_a_mail_in_a_file_is_a_whole_mail_for_nobody_else(route: Any, tmp_path: Path) -> None:
    route((tmp_path / "new folder").as_uri())
    send()
    (file,) = (tmp_path / "new folder").iterdir()
    parsed = email.message_from_bytes(file.read_bytes(), policy=email.policy.default)
    assert (file.suffix, parsed["To"]) == (".eml", "li@example.com")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_the_console_shows_mails_if_asked_to(route: Any, capsys: pytest.CaptureFixture) -> None:
    route("console:")
    send()
    assert "To: li@example.com" in capsys.readouterr().out


def test_a_plain_server_is_spoken_to_plainly(route: Any) -> None:
    with FakeSmtp() as fake:
        route(f"smtp://127.0.0.1:{fake.port}")
        send()
    (received,) = fake.received
    assert (received.recipient, received.tls, received.user) == ("li@example.com", False, "")


def test_a_login_is_sent_after_starttls(route: Any, certificate: ssl.SSLContext) -> None:
    with FakeSmtp(password="p@ss/word", tls=certificate) as fake:
        route(f"smtp://me:p%40ss%2Fword@127.0.0.1:{fake.port}/?tls=1")
        send()
    (received,) = fake.received
    assert (received.tls, received.user) == (True, "me")


def test_tls_from_the_first_byte(route: Any, certificate: ssl.SSLContext) -> None:
    with FakeSmtp(tls=certificate, tls_at_once=True) as fake:
        route(f"smtps://127.0.0.1:{fake.port}")
        send()
    assert fake.received[0].tls


@pytest.mark.usefixtures("certificate")
def test_a_strangers_certificate_gets_no_mail(route: Any) -> None:
    with FakeSmtp(tls=served_by(trustme.CA())) as fake:
        route(f"smtp://127.0.0.1:{fake.port}/?tls=1")
        with pytest.raises(ssl.SSLCertVerificationError):
            send()
    assert not fake.received


@pytest.mark.parametrize(
    ("url", "port"),
    [
        ("smtp://mail.example", 25),
        ("smtp://mail.example/?tls=1", 587),
        ("smtp://mail.example:2525", 2525),
        ("smtps://mail.example", 465),
    ],
)
def test_each_form_has_its_usual_port(route: Any, url: str, port: int) -> None:
    assert route(url)["EMAIL_PORT"] == port


def test_a_server_wants_to_know_who_sends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOLLGATE_EMAIL_URL", "smtp://mail.example")
    with pytest.raises(ImproperlyConfigured, match="TOLLGATE_MAIL_FROM must be set"):
        runpy.run_path(SETTINGS)
