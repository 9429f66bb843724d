"""The addresses of buying: checkout, orders behind their secret links, payment pages."""

from django.urls import path

from portal.views import checkout, demo_gateway, notify, orders, receipts, returned

_ORDER = "orders/<str:number>/<str:token>/"
_ONE_KEY = f"{_ORDER}%s/<uuid:delivery_id>/"

urlpatterns = [
    path("buy/<slug:slug>/", checkout.checkout, name="checkout"),
    path("buy/<slug:trial>/sent/", checkout.trial_sent, name="trial_sent"),
    path("orders/", orders.look_up, name="order_lookup"),
    path("orders/sent/", orders.link_sent, name="order_link_sent"),
    path(_ORDER, orders.order, name="order"),
    path(f"{_ORDER}status/", orders.order_status, name="order_status"),
    path(f"{_ORDER}qr.svg", orders.order_qr, name="order_qr"),
    path(f"{_ORDER}pay/", orders.pay, name="order_pay"),
    path(f"{_ORDER}pay.svg", orders.payment_qr, name="payment_qr"),
    path(f"{_ORDER}reveal/", orders.reveal, name="order_reveal_all"),
    path(f"{_ORDER}receipts/<str:receipt>/", receipts.of_order, name="order_receipt"),
    path(_ONE_KEY % "reveal", orders.reveal, name="order_reveal"),
    path(_ONE_KEY % "saved", orders.saved, name="order_saved"),
    path(_ONE_KEY % "replace", orders.replace, name="order_replace"),
    path("pay/<uuid:account>/notify/", notify.notify, name="notify"),
    path("pay/<uuid:payment_id>/return/", returned.returned, name="payment_return"),
    path("pay/demo/<uuid:payment_id>/", demo_gateway.demo_gateway, name="demo_gateway"),
]
