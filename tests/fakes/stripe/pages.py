"""The pages of this Stripe for a browser: the one to pay on, and after it what else may happen.

Each button is a form of its own; what it does is in `ACTS`.
"""

from collections.abc import Callable
from html import escape

from tests.fakes.stripe.books import Books, Json

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width">
<link rel="icon" href="data:,">
<style>body{{font:16px system-ui;margin:3rem auto;max-width:26rem;padding:0 1rem}}
button{{font:inherit;padding:.6rem 1rem;margin:.25rem .5rem .25rem 0}}form{{display:inline}}</style>
</head><body><h1>{title}</h1>{inside}</body></html>"""


def _refund_half(books: Books, session_id: str) -> None:
    books.refund(session_id, books.sessions[session_id]["amount_total"] // 2)


def _refund_all(books: Books, session_id: str) -> None:
    books.refund(session_id)


def _dispute(books: Books, session_id: str) -> None:
    books.dispute(session_id)


def _win(books: Books, session_id: str) -> None:
    books.end_dispute(_case_of(books, session_id)["id"], "won")


def _lose(books: Books, session_id: str) -> None:
    books.end_dispute(_case_of(books, session_id)["id"], "lost")


def _pay(books: Books, session_id: str) -> None:
    books.pay(session_id)


def _pay_later(books: Books, session_id: str) -> None:
    books.pay_later(session_id)


def _fail(books: Books, session_id: str) -> None:
    books.fail(session_id)


ACTS: dict[str, tuple[str, Callable[[Books, str], None]]] = {
    "pay": ("Pay", _pay),
    "pay-later": ("Pay by what takes its time", _pay_later),
    "arrive": ("Let it arrive", _pay),
    "fail": ("Let it fail", _fail),
    "refund-half": ("Refund half", _refund_half),
    "refund": ("Refund what is left", _refund_all),
    "dispute": ("Dispute", _dispute),
    "win": ("Shop wins", _win),
    "lose": ("Shop loses", _lose),
}


def front(books: Books) -> str:
    """Return the list of all sessions."""
    rows = (
        f'<p><a href="/c/pay/{name}">{_sum(session)}</a> {_said(books, session)}</p>'
        for name, session in reversed(books.sessions.items())
    )
    return _PAGE.format(title="A Stripe for tests", inside="".join(rows) or "<p>No sessions.</p>")


def page_of(books: Books, session: Json) -> str:
    """Return the page of a session, with what can be done to it now."""
    name = session["id"]
    buttons = (
        f'<form method="post" action="/c/pay/{name}/{act}"><button>{ACTS[act][0]}</button></form>'
        for act in possible(books, session)
    )
    back = session["cancel_url"] or session["success_url"]
    ways = f'<p><a href="{escape(back)}">Go back</a></p>'
    said = f"<p>{_said(books, session)}</p><p>{''.join(buttons)}</p>{ways}"
    return _PAGE.format(title=f"Pay {_sum(session)}", inside=said)


def possible(books: Books, session: Json) -> list[str]:
    """Return the acts that a session allows as it stands."""
    if session["status"] == "open":
        return ["pay", "pay-later"]
    if session["status"] == "expired":
        return []
    if session["payment_status"] == "unpaid":
        return ["arrive", "fail"]
    charge = session["payment_intent"]["latest_charge"]
    case = _case_of(books, session["id"])
    if case and case["status"] == "needs_response":
        return ["win", "lose"]
    if case and case["status"] == "lost":
        return []
    left = charge["amount"] - charge["amount_refunded"]
    refunds = (["refund-half"] if charge["amount_refunded"] == 0 else []) + ["refund"]
    return (refunds if left else []) + ([] if case else ["dispute"])


def _case_of(books: Books, session_id: str) -> Json:
    intent = books.sessions[session_id]["payment_intent"]
    cases = [case for case in books.disputes.values() if case["payment_intent"] == intent["id"]]
    return cases[-1] if cases else {}


def _sum(session: Json) -> str:
    return escape(f"{session['amount_total']} {session['currency'].upper()}")


def _said(books: Books, session: Json) -> str:
    """Return how a session stands, and what became of its money."""
    words = [session["status"], session["payment_status"]]
    if session["payment_status"] == "paid":
        gone = session["payment_intent"]["latest_charge"]["amount_refunded"]
        words.append(f"{gone} refunded")
        words.append(f"dispute: {_case_of(books, session['id']).get('status', 'none')}")
    return escape(", ".join(words))
