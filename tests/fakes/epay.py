"""A fake epay gateway on loopback: V1 and V2, with books, a signing of its own and notifications.

In a test: `with FakeEpay() as fake:` runs it in threads; a shop's account there is
`fake.open_account("1001")`, its base address `fake.url`. `fake.pay(out_trade_no)` is the buyer, who
may also pay another amount; `fake.deliver(order)` tells the shop, as often, as late and as forged
as it is asked to. `says` changes what its answers say before they are signed, `tampers` after that,
`instead` replaces them. `asked` is what it was asked.
"""

import hashlib
import json
import threading
import time
from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

import httpx
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

Fields = dict[str, Any]

UNPAID, PAID, REFUNDED = 0, 1, 2
_BITS = 2048
_SHA256_PREFIX = bytes.fromhex("3031300d060960864801650304020105000420")


class KeyPair:
    """An RSA key; `private` and `public` are what a merchant's page shows of it."""

    def __init__(self) -> None:
        key = rsa.generate_private_key(65537, _BITS)
        numbers = key.private_numbers()
        self.n, self.p, self.q = numbers.p * numbers.q, numbers.p, numbers.q
        self.d = numbers.d
        self.private = b64encode(
            key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        ).decode()
        self.public = b64encode(
            key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        ).decode()


@lru_cache(maxsize=8)
def key_pair(owner: str) -> KeyPair:
    """Return the key of somebody, the same in a whole run: making one takes a while."""
    return KeyPair()


def _padded(text: str) -> int:
    digest = _SHA256_PREFIX + hashlib.sha256(text.encode()).digest()
    return int.from_bytes(b"\0\1" + b"\xff" * (_BITS // 8 - 3 - len(digest)) + b"\0" + digest)


def rsa_sign(pair: KeyPair, text: str) -> str:
    """Sign as RSA-SHA256 with PKCS#1 v1.5, by plain arithmetic."""
    return b64encode(_power(pair, _padded(text)).to_bytes(_BITS // 8)).decode()


def _power(pair: KeyPair, base: int) -> int:
    """Raise to the private exponent by the Chinese remainder theorem, four times as fast."""
    by_p = pow(base, pair.d % (pair.p - 1), pair.p)
    by_q = pow(base, pair.d % (pair.q - 1), pair.q)
    return by_q + pair.q * ((by_p - by_q) * pow(pair.q, -1, pair.p) % pair.p)


def rsa_verify(pair: KeyPair, text: str, signature: str) -> bool:
    """Verify the same."""
    return pow(int.from_bytes(b64decode(signature)), 65537, pair.n) == _padded(text)


@lru_cache(maxsize=1)
def browser() -> httpx.Client:
    """Return what opens the gateway's pages, one for all: making one takes a while."""
    return httpx.Client(trust_env=False, timeout=10)


def joined(fields: Fields) -> str:
    """Return what is signed of a message."""
    parts = []
    for name in sorted(fields):
        value = fields[name]
        if name in ("sign", "sign_type") or value is None or isinstance(value, list | dict):
            continue
        if str(value).strip():
            parts.append(f"{name}={value}")
    return "&".join(parts)


def md5_sign(key: str, fields: Fields) -> str:
    """Sign as V1 does."""
    return hashlib.md5(f"{joined(fields)}{key}".encode(), usedforsecurity=False).hexdigest()


@dataclass(frozen=True)
class Account:
    """A merchant at the gateway; `key` is for V1, `keys` are its own ones of V2."""

    pid: str
    key: str
    keys: KeyPair


@dataclass
class Placed:
    """One order in the gateway's books; amounts are texts in yuan."""

    account: Account
    trade_no: str
    asked: Fields
    version: int
    money: str
    status: int = UNPAID
    out_trade_no: str = ""


@dataclass(frozen=True)
class Canned:
    """An answer in the place of the gateway's own."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


class FakeEpay:
    """The gateway."""

    def __init__(self) -> None:
        self.accounts: dict[str, Account] = {}
        self.orders: dict[tuple[str, str], Placed] = {}
        self.asked: list[tuple[str, str, Fields]] = []
        self.says: Fields = {}
        self.tampers: Fields = {}
        self.instead: Canned | None = None
        self.keys = key_pair("gateway")
        self._numbers = count(2026112200000012345)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Talk)
        self._server.fake = self  # type: ignore[attr-defined]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    @property
    def url(self) -> str:
        """The base address."""
        return f"http://127.0.0.1:{self._server.server_port}/"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=10)

    def open_account(self, pid: str, *, key: str = "k3y") -> Account:
        """Make somebody a merchant."""
        self.accounts[pid] = Account(pid, key, key_pair(f"merchant {pid}"))
        return self.accounts[pid]

    def order(self, out_trade_no: str, *, pid: str = "1001") -> Placed:
        """Return an order as the books have it."""
        return self.orders[pid, out_trade_no]

    def pay(self, out_trade_no: str, *, money: str | None = None, pid: str = "1001") -> Placed:
        """Let the buyer pay what was asked for, or another amount."""
        order = self.order(out_trade_no, pid=pid)
        order.status, order.money = PAID, money or order.money
        return order

    def refund(self, out_trade_no: str) -> Placed:
        """Give a buyer everything back."""
        order = self.order(out_trade_no)
        order.status = REFUNDED
        return order

    def notification(self, order: Placed, *, forged_with: str | None = None, **says: Any) -> Fields:
        """Return what the shop is told about an order; `says` changes it before it is signed.

        With `forged_with` it is signed by MD5 and that key, whoever is told.
        """
        fields = {
            "pid": order.account.pid,
            "trade_no": order.trade_no,
            "out_trade_no": order.out_trade_no,
            "type": order.asked.get("type", "alipay"),
            "name": order.asked["name"],
            "money": str(float(order.money)),
            "trade_status": "TRADE_SUCCESS",
        }
        if order.version == 2:
            fields |= {"api_trade_no": f"ali{order.trade_no}", "timestamp": str(int(time.time()))}
        fields |= says
        if forged_with is not None or order.version == 1:
            key = order.account.key if forged_with is None else forged_with
            return {**fields, "sign": md5_sign(key, fields), "sign_type": "MD5"}
        return {**fields, "sign": rsa_sign(self.keys, joined(fields)), "sign_type": "RSA"}

    def deliver(
        self,
        order: Placed,
        *,
        to: str | None = None,
        method: str = "GET",
        repeat_count: int = 1,
        **notification: Any,
    ) -> list[tuple[int, str]]:
        """Tell the shop; return the status and text of each of its answers."""
        url = to or str(order.asked["notify_url"])
        fields = self.notification(order, **notification)
        told: Fields = {"params": fields} if method == "GET" else {"data": fields}
        answers = [browser().request(method, url, **told) for _ in range(repeat_count)]
        return [(answer.status_code, answer.text) for answer in answers]

    def answer(self, path: str, fields: Fields) -> Canned:
        """Answer one request."""
        endpoints = {
            "/submit.php": self._submit,
            "/mapi.php": self._mapi,
            "/api.php": self._api,
            "/api/pay/create": self._create,
            "/api/pay/query": self._query,
        }
        endpoint = endpoints.get(path)
        if self.instead is not None:
            return self.instead
        return endpoint(fields) if endpoint else Canned(b"<h1>404</h1>", 404)

    def _submit(self, fields: Fields) -> Canned:
        """V1: the buyer's browser opens an order."""
        account = self.accounts.get(fields.get("pid", ""))
        if account is None or fields.get("sign") != md5_sign(account.key, fields):
            return Canned("<p>签名校验失败</p>".encode())
        order = self._place(account, fields, version=1)
        if isinstance(order, str):
            return Canned(f"<p>{order}</p>".encode())
        return Canned(status=302, headers={"Location": f"/cashier/{order.trade_no}"})

    def _mapi(self, fields: Fields) -> Canned:
        """V1: a server opens an order."""
        account = self.accounts.get(fields.get("pid", ""))
        if account is None or fields.get("sign") != md5_sign(account.key, fields):
            return self._said({"code": -1, "msg": "签名校验失败"})
        order = self._place(account, fields, version=1)
        if isinstance(order, str):
            return self._said({"code": -1, "msg": order})
        pay_url = f"{self.url}cashier/{order.trade_no}"
        return self._said({"code": 1, "trade_no": order.trade_no, "payurl": pay_url})

    def _api(self, fields: Fields) -> Canned:
        """V1: how an order stands."""
        account = self.accounts.get(fields.get("pid", ""))
        if account is None or fields.get("key") != account.key:
            return self._said({"code": -3, "msg": "商户密钥错误"})
        order = self._find(account, fields)
        if fields.get("act") != "order" or order is None:
            return self._said({"code": -1, "msg": "订单号不存在"})
        return self._said({"code": 1, "msg": "succ", **self._told(order)})

    def _create(self, fields: Fields) -> Canned:
        """V2: a server opens an order."""
        account = self._caller(fields)
        if account is None:
            return self._said({"code": -1, "msg": "签名校验失败"})
        if not {"method", "clientip", "notify_url", "return_url"} <= fields.keys():
            return self._said({"code": -1, "msg": "参数不完整"})
        order = self._place(account, fields, version=2)
        if isinstance(order, str):
            return self._said({"code": -1, "msg": order})
        where = {"pay_type": "jump", "pay_info": f"{self.url}cashier/{order.trade_no}"}
        return self._signed({"code": 0, "trade_no": order.trade_no, **where})

    def _query(self, fields: Fields) -> Canned:
        """V2: how an order stands."""
        account = self._caller(fields)
        order = self._find(account, fields) if account else None
        if order is None:
            return self._said({"code": -1, "msg": "订单不存在" if account else "签名校验失败"})
        return self._signed({"code": 0, "msg": "succ", **self._told(order)})

    def _caller(self, fields: Fields) -> Account | None:
        """Return who has signed a request of V2 within five minutes."""
        account = self.accounts.get(fields.get("pid", ""))
        fresh = abs(time.time() - int(fields.get("timestamp", "0"))) <= 300
        if account is None or not fresh or fields.get("sign_type") != "RSA":
            return None
        genuine = rsa_verify(account.keys, joined(fields), fields.get("sign", ""))
        return account if genuine else None

    def _place(self, account: Account, fields: Fields, *, version: int) -> Placed | str:
        """Write an order down, or return the one that is there, or why not."""
        number = fields["out_trade_no"]
        known = self.orders.get((account.pid, number))
        if known is None:
            trade_no = str(next(self._numbers))
            known = Placed(account, trade_no, fields, version, fields["money"])
            known.out_trade_no = number
            self.orders[account.pid, number] = known
        same = ("money", "notify_url", "return_url")
        if any(known.asked.get(name) != fields.get(name) for name in same):
            return "订单号已存在"
        return known

    def _find(self, account: Account, fields: Fields) -> Placed | None:
        for order in self.orders.values():
            named = fields.get("out_trade_no") == order.out_trade_no
            if order.account is account and (named or fields.get("trade_no") == order.trade_no):
                return order
        return None

    def _told(self, order: Placed) -> Fields:
        return {
            "trade_no": order.trade_no,
            "out_trade_no": order.out_trade_no,
            "type": order.asked.get("type", "alipay"),
            "pid": int(order.account.pid),
            "addtime": "2026-11-22 10:00:00",
            "endtime": None,
            "name": order.asked["name"],
            "money": order.money,
            "status": order.status,
            "param": "",
        }

    def _said(self, answer: Fields) -> Canned:
        body = json.dumps({**answer, **self.says, **self.tampers}).encode()
        return Canned(body, headers={"Content-Type": "text/html; charset=utf-8"})

    def _signed(self, answer: Fields) -> Canned:
        answer = {"timestamp": str(int(time.time())), "sign_type": "RSA", **answer, **self.says}
        return self._said({**answer, "sign": rsa_sign(self.keys, joined(answer))})


class _Talk(BaseHTTPRequestHandler):
    """One connection."""

    wbufsize = -1

    def do_GET(self) -> None:
        """Take the fields from the query."""
        self._answer(urlsplit(self.path).query)

    def do_POST(self) -> None:
        """Take the fields from the form."""
        length = int(self.headers.get("Content-Length", "0"))
        self._answer(self.rfile.read(length).decode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _answer(self, text: str) -> None:
        fake: FakeEpay = self.server.fake  # type: ignore[attr-defined]
        path = urlsplit(self.path).path
        fields: Fields = dict(parse_qsl(text, keep_blank_values=True))
        fake.asked.append((self.command, path, fields))
        answer = fake.answer(path, fields)
        self.send_response(answer.status)
        for name, value in {"Content-Length": str(len(answer.body)), **answer.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body)
