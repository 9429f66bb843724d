"""The fake gateway itself: what it answers to shops, what it tells them, what buyers see."""

import json
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any, Self
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx

from tests.fakes.epay import cashier
from tests.fakes.epay.books import PAID, UNPAID, Account, Books, Placed
from tests.fakes.epay.signing import Fields, joined, key_pair, md5_sign, rsa_sign, rsa_verify

_BAD_SIGNATURE = {"code": -1, "msg": "签名校验失败"}


@lru_cache(maxsize=1)
def browser() -> httpx.Client:
    """Return what opens the gateway's pages, one for all: making one takes a while."""
    return httpx.Client(trust_env=False, timeout=10)


@dataclass(frozen=True)
class Canned:
    """An answer in the place of the gateway's own."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


class FakeEpay(Books):
    """The gateway, at a port of loopback."""

    def __init__(self, *, port: int = 0) -> None:
        super().__init__()
        self.asked: list[tuple[str, str, Fields]] = []
        self.addresses: list[str] = []
        self.says: Fields = {}
        self.tampers: Fields = {}
        self.instead: Canned | None = None
        self.gives = "qrcode"
        self.keys = key_pair("gateway")
        self._refunds = count(1)
        self._server = ThreadingHTTPServer(("127.0.0.1", port), _Talk)
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

    def answer(self, method: str, path: str, fields: Fields) -> Canned:
        """Answer one request."""
        endpoints = {
            "/submit.php": self._submit,
            "/mapi.php": self._mapi,
            "/api.php": self._api,
            "/api/pay/create": self._create,
            "/api/pay/query": self._query,
            "/api/pay/refund": self._refund,
            "/api/pay/close": self._close,
            "/api/merchant/info": self._info,
        }
        endpoint = endpoints.get(path)
        if self.instead is not None:
            return self.instead
        if path.startswith("/cashier/"):
            return self._cashier(method, path.removeprefix("/cashier/"))
        return endpoint(fields) if endpoint else Canned(b"<h1>404</h1>", 404)

    def _cashier(self, method: str, trade_no: str) -> Canned:
        """What a buyer sees, and may do: pay, of which the shop is told at once."""
        order = self.by_number(trade_no)
        if order is None:
            return Canned(b"<h1>404</h1>", 404)
        if method == "POST" and order.status == UNPAID and not order.is_closed:
            order.status = PAID
            with suppress(httpx.HTTPError):  # a shop that can't be told will ask
                self.deliver(order)
        if method == "POST" and order.status == PAID:
            back = f"{order.asked['return_url']}?{urlencode(self.notification(order))}"
            return Canned(status=302, headers={"Location": back})
        page = cashier.page_of(order).encode()
        return Canned(page, headers={"Content-Type": "text/html; charset=utf-8"})

    def _submit(self, fields: Fields) -> Canned:
        """V1: the buyer's browser opens an order."""
        account = self.accounts.get(fields.get("pid", ""))
        if account is None or fields.get("sign") != md5_sign(account.key, fields):
            return Canned("<p>签名校验失败</p>".encode())
        order = self.place(account, fields, version=1)
        if isinstance(order, str):
            return Canned(f"<p>{order}</p>".encode())
        return Canned(status=302, headers={"Location": f"/cashier/{order.trade_no}"})

    def _mapi(self, fields: Fields) -> Canned:
        """V1: a server opens an order, and is told where it is paid in one of three ways."""
        account = self.accounts.get(fields.get("pid", ""))
        if account is None or fields.get("sign") != md5_sign(account.key, fields):
            return self._said(_BAD_SIGNATURE)
        if not {"clientip", "device", "type"} <= fields.keys():
            return self._said({"code": -1, "msg": "参数不完整"})
        order = self.place(account, fields, version=1)
        if isinstance(order, str):
            return self._said({"code": -1, "msg": order})
        where = {self.gives: f"{self.url}cashier/{order.trade_no}"}
        return self._said({"code": 1, "trade_no": order.trade_no, **where})

    def _api(self, fields: Fields) -> Canned:
        """V1: what is asked with the key: about an order, a merchant, or for a refund."""
        account = self.accounts.get(fields.get("pid", ""))
        if account is None or fields.get("key") != account.key:
            return self._said({"code": -3, "msg": "商户密钥错误"})
        if fields.get("act") == "query":
            about = {"pid": int(account.pid), "key": account.key, "active": 1, "money": "0.00"}
            return self._said({"code": 1, **about})
        order = self.find(account, fields)
        if fields.get("act") not in ("order", "refund") or order is None:
            return self._said({"code": -1, "msg": "订单号不存在"})
        if fields["act"] == "order":
            return self._said({"code": 1, "msg": "succ", **self._told(order)})
        name = f"V1 {next(self._refunds)}"
        refusal = self.give_back(order, Decimal(fields["money"]), name=name)
        return self._said({"code": -1 if refusal else 0, "msg": refusal or "退款成功"})

    def _create(self, fields: Fields) -> Canned:
        """V2: a server opens an order."""
        account = self._caller(fields)
        if account is None:
            return self._said(_BAD_SIGNATURE)
        if not {"method", "clientip", "notify_url", "return_url"} <= fields.keys():
            return self._said({"code": -1, "msg": "参数不完整"})
        order = self.place(account, fields, version=2)
        if isinstance(order, str):
            return self._said({"code": -1, "msg": order})
        kind = "qrcode" if fields["method"] == "web" and self.gives == "qrcode" else "jump"
        where = {"pay_type": kind, "pay_info": f"{self.url}cashier/{order.trade_no}"}
        return self._signed({"code": 0, "trade_no": order.trade_no, **where})

    def _query(self, fields: Fields) -> Canned:
        """V2: how an order stands."""
        order = self._asked_for(fields)
        if isinstance(order, dict):
            return self._said(order)
        refunded = {"refundmoney": f"{order.refunded}"}
        return self._signed({"code": 0, "msg": "succ", **self._told(order), **refunded})

    def _refund(self, fields: Fields) -> Canned:
        """V2: money goes back, once for each name of a refund."""
        order = self._asked_for(fields)
        if isinstance(order, dict):
            return self._said(order)
        name, money = fields["out_refund_no"], fields["money"]
        refusal = self.give_back(order, Decimal(money), name=name)
        if refusal:
            return self._said({"code": -1, "msg": refusal})
        named = {"refund_no": f"R{next(self._refunds)}", "out_refund_no": name, "money": money}
        return self._signed({"code": 0, "msg": "succ", "trade_no": order.trade_no, **named})

    def _close(self, fields: Fields) -> Canned:
        """V2: nobody is to pay an order any more."""
        order = self._asked_for(fields)
        if isinstance(order, dict):
            return self._said(order)
        order.is_closed = True
        return self._signed({"code": 0, "msg": "succ"})

    def _info(self, fields: Fields) -> Canned:
        """V2: who is asking."""
        account = self._caller(fields)
        if account is None:
            return self._said(_BAD_SIGNATURE)
        return self._signed({"code": 0, "pid": int(account.pid), "status": 1, "money": "0.00"})

    def _asked_for(self, fields: Fields) -> Placed | Fields:
        """Return the order that a request of V2 is about, or why there is none."""
        account = self._caller(fields)
        order = self.find(account, fields) if account else None
        return order or ({"code": -1, "msg": "订单不存在"} if account else _BAD_SIGNATURE)

    def _caller(self, fields: Fields) -> Account | None:
        """Return who has signed a request of V2 within five minutes."""
        account = self.accounts.get(fields.get("pid", ""))
        fresh = abs(time.time() - int(fields.get("timestamp", "0"))) <= 300
        if account is None or not fresh or fields.get("sign_type") != "RSA":
            return None
        genuine = rsa_verify(account.keys, joined(fields), fields.get("sign", ""))
        return account if genuine else None

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
        self._answer("")

    def do_POST(self) -> None:
        """Take the fields from query and form."""
        length = int(self.headers.get("Content-Length", "0"))
        self._answer(self.rfile.read(length).decode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _answer(self, form: str) -> None:
        fake: FakeEpay = self.server.fake  # type: ignore[attr-defined]
        address = urlsplit(self.path)
        query, sent = (parse_qsl(text, keep_blank_values=True) for text in (address.query, form))
        fields: Fields = {**dict(query), **dict(sent)}
        fake.addresses.append(self.path)
        fake.asked.append((self.command, address.path, fields))
        answer = fake.answer(self.command, address.path, fields)
        self.send_response(answer.status)
        for name, value in {"Content-Length": str(len(answer.body)), **answer.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body)
