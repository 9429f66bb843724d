"""The fake gateway's page for buyers, plain as gateways' pages are."""

from html import escape

from tests.fakes.epay.books import UNPAID, Placed

_PAGE = """<!doctype html>
<html lang="zh">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>收银台</title>
<link rel="icon" href="data:,">
<body>
<h1>收银台</h1>
<p>商户 {pid}，{name}</p>
<p><b>￥{money}</b></p>
{deed}
</body>
</html>
"""
_BUTTON = '<form method="post"><button>Pay</button></form>'


def page_of(order: Placed) -> str:
    """Return the page of an order: with a button as long as it can be paid."""
    deed = _BUTTON if order.status == UNPAID else "<p>订单已支付</p>"
    return _PAGE.format(
        pid=escape(order.account.pid),
        name=escape(str(order.asked["name"])),
        money=escape(order.money),
        deed="<p>订单已关闭</p>" if order.is_closed else deed,
    )
