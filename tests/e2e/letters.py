"""The mails that an installation has written into files, as their readers see them."""

import email
import re
from collections.abc import Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import default
from html import unescape
from pathlib import Path

from tests.system.running import PATIENCE_S, RunningSystem, wait_until

_LINK = re.compile(r"https?://[^\s<>\"']+")


@dataclass(frozen=True)
class Letter:
    """One mail."""

    recipient: str
    subject: str
    text: str
    html: str

    @property
    def links(self) -> list[str]:
        """Every address in it, in the order of its text, then what only its HTML has."""
        found = _LINK.findall(self.text) + _LINK.findall(unescape(self.html))
        return list(dict.fromkeys(link.rstrip(".,)。") for link in found))

    @property
    def sign_in_link(self) -> str:
        """The link that signs its reader in."""
        return next(link for link in self.links if "/account/sign-in/" in link)

    @property
    def order_link(self) -> str:
        """The link of the order that it is about."""
        return next(link for link in self.links if "/orders/" in link and link.endswith("/"))


def letters_to(system: RunningSystem, recipient: str) -> list[Letter]:
    """Return the mails to an address so far, oldest first."""
    return letters_in(system.state_folder, recipient)


def letters_in(state_folder: Path, recipient: str) -> list[Letter]:
    """Return the same, by the folder of the installation's state."""
    letters = (_read(path) for path in sorted((state_folder / "mail").glob("*.eml")))
    return [letter for letter in letters if letter.recipient == recipient]


def wait_for_letters(system: RunningSystem, recipient: str, *, count: int = 1) -> Sequence[Letter]:
    """Return the mails to an address as soon as there are so many."""
    wait_until(
        lambda: len(letters_to(system, recipient)) >= count,
        patience_s=PATIENCE_S,
        what=lambda: f"{letters_to(system, recipient)}\n{system.log.read_text()}",
    )
    return letters_to(system, recipient)


def _read(path: Path) -> Letter:
    message = email.message_from_bytes(path.read_bytes(), policy=default)
    assert isinstance(message, EmailMessage)
    text, html = message.get_body(["plain"]), message.get_body(["html"])
    return Letter(
        recipient=str(message["To"]),
        subject=str(message["Subject"]),
        text=text.get_content() if text else "",
        html=html.get_content() if html else "",
    )
