"""A real SMTP server on loopback that keeps what it is given and misbehaves as it is asked to.

In a test: `with FakeSmtp() as fake:` runs it in a thread with a loop of its own; `fake.port` is
where it listens, `fake.received` what it took. The name in front of the recipient's @ decides:
`refused` is unknown for good (550), `greylisted` has to wait once (451), `hang` is never answered,
`drop` loses the connection in the middle of the text. With `password` a client must sign in, and
with `tls` it is spoken to after STARTTLS, or from the first byte if `tls_at_once`.
"""

import asyncio
import base64
import contextlib
import email
import email.policy
import ssl
import threading
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Self

GREETING = b"220 fake ESMTP\r\n"
OK, GO_ON, BYE = b"250 ok\r\n", b"354 go on\r\n", b"221 bye\r\n"
UNKNOWN, LATER = b"550 5.1.1 no such mailbox\r\n", b"451 4.7.1 greylisted, try again\r\n"


@dataclass(frozen=True)
class Received:
    """One mail as it came over the wire; `tls` and `user` say how."""

    sender: str
    recipient: str
    raw: bytes
    tls: bool
    user: str

    @property
    def message(self) -> EmailMessage:
        """The mail, parsed."""
        parsed = email.message_from_bytes(self.raw, policy=email.policy.default)
        assert isinstance(parsed, EmailMessage)
        return parsed


class FakeSmtp:
    """The server; `commands` are the lines it was sent, `received` the mails it accepted."""

    def __init__(
        self,
        *,
        password: str = "",
        tls: ssl.SSLContext | None = None,
        tls_at_once: bool = False,
    ) -> None:
        self.password = password
        self.tls = tls
        self.tls_at_once = tls_at_once
        self.port = 0
        self.connection_count = 0
        self.commands: list[str] = []
        self.received: list[Received] = []
        self.greylisted: set[str] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._server: asyncio.Server | None = None
        self._talks: set[asyncio.Task[None]] = set()

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(timeout=10)
        return self

    def __exit__(self, *_exception: object) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(timeout=10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=10)
        self._loop.close()

    async def _listen(self) -> None:
        first = self.tls if self.tls_at_once else None
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=first)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        assert self._server is not None
        self._server.close()
        for talk in self._talks:
            talk.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._talks.add(task)
        task.add_done_callback(self._talks.discard)
        self.connection_count += 1
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await _Talk(self, reader, writer).run()
        writer.close()


class _Talk:
    """One connection."""

    def __init__(
        self, fake: FakeSmtp, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.fake, self.reader, self.writer = fake, reader, writer
        self.is_tls = fake.tls_at_once
        self.user = self.sender = self.recipient = ""

    async def run(self) -> None:
        """Answer line by line until the client has enough."""
        await self._say(GREETING)
        while line := await self.reader.readline():
            text = line.decode("ascii", "replace").strip()
            self.fake.commands.append(text)
            verb = text.partition(" ")[0].upper()
            answer = await self._answer(verb, text)
            if answer is None:
                return
            await self._say(answer)
            if verb == "QUIT":
                return
            if verb == "STARTTLS" and self.fake.tls:
                await self.writer.start_tls(self.fake.tls)
                self.is_tls = True

    async def _say(self, answer: bytes) -> None:
        self.writer.write(answer)
        await self.writer.drain()

    async def _answer(self, verb: str, text: str) -> bytes | None:
        """Return what to say; None ends the connection without a word."""
        if verb == "EHLO":
            offers = [b"250-fake", b"250-8BITMIME"]
            offers += [b"250-STARTTLS"] if self.fake.tls and not self.is_tls else []
            offers += [b"250-AUTH PLAIN"] if self.fake.password else []
            return b"\r\n".join([*offers, b"250 HELP", b""])
        if verb == "AUTH":
            return self._sign_in(text)
        if verb == "MAIL":
            if self.fake.password and not self.user:
                return b"530 sign in first\r\n"
            self.sender = _address_in(text)
        if verb == "RCPT":
            return await self._take_recipient(_address_in(text))
        if verb == "DATA":
            return await self._take_text()
        return {"QUIT": BYE, "STARTTLS": b"220 go\r\n"}.get(verb, OK)

    def _sign_in(self, text: str) -> bytes:
        _, user, password = base64.b64decode(text.split()[-1]).decode().split("\0")
        if password != self.fake.password:
            return b"535 wrong password\r\n"
        self.user = user
        return b"235 welcome\r\n"

    async def _take_recipient(self, recipient: str) -> bytes:
        name = recipient.partition("@")[0]
        self.recipient = recipient
        if name == "hang":
            await asyncio.sleep(3600)
        if name == "greylisted" and recipient not in self.fake.greylisted:
            self.fake.greylisted.add(recipient)
            return LATER
        return UNKNOWN if name == "refused" else OK

    async def _take_text(self) -> bytes | None:
        await self._say(GO_ON)
        if self.recipient.startswith("drop@"):
            return None
        raw = await self.reader.readuntil(b"\r\n.\r\n")
        text = raw.removesuffix(b".\r\n").replace(b"\r\n..", b"\r\n.")
        self.fake.received.append(
            Received(self.sender, self.recipient, text, self.is_tls, self.user)
        )
        return OK


def _address_in(command: str) -> str:
    return command.partition("<")[2].partition(">")[0]
