"""A mail backend that writes every mail into a file of its own. Named by `TOLLGATE_EMAIL_URL`.

For development, tests, and a first look at an installation: any mail program opens `.eml` files.
"""

import os
import re
from collections.abc import Sequence
from email.message import Message
from pathlib import Path

from django.conf import settings
from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend
from django.utils import timezone

_unfit_for_a_name = re.compile(r"[^A-Za-z0-9-]+")


class EmlBackend(BaseEmailBackend):
    """Writes `<time>-<message id>.eml`, readable by this user alone, whole or not at all."""

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        """Write the mails; return how many. Raises OSError."""
        folder = Path(settings.EMAIL_FILE_PATH)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for mail in email_messages:
            _write(folder, mail.message())
        return len(email_messages)


def _write(folder: Path, message: Message) -> None:
    content = message.as_bytes()
    name = _unfit_for_a_name.sub("", str(message["Message-ID"]).partition("@")[0])
    path = folder / f"{timezone.now():%Y%m%dT%H%M%S%f}-{name[:60]}.eml"
    growing = path.with_suffix(".part")
    descriptor = os.open(growing, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    growing.replace(path)
