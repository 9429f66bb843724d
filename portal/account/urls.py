"""The addresses of the account, below `/account/`. A key is named by its public id."""

from django.urls import path

from portal.views import account, account_keys, account_money, sign_in

_KEY = "keys/<str:kid>/"

urlpatterns = [
    path("", account.account, name="account"),
    path("sign-in/", sign_in.ask, name="sign_in"),
    path("sign-in/sent/", sign_in.sent, name="sign_in_sent"),
    path("sign-in/<int:mail_id>/<str:proof>/", sign_in.link, name="sign_in_link"),
    path("top-up/", account_money.top_up, name="account_top_up"),
    path("redeem/", account_money.redeem, name="account_redeem"),
    path("sign-out/", sign_in.leave, name="sign_out"),
    path("keys/new/", account_keys.new, name="account_key_new"),
    path(_KEY, account_keys.key, name="account_key"),
    path(f"{_KEY}switch/", account_keys.switch, name="account_key_switch"),
    path(f"{_KEY}replace/", account_keys.replace, name="account_key_replace"),
    path(f"{_KEY}calls/", account_keys.calls, name="account_key_calls"),
    path(f"{_KEY}revoke/", account_keys.revoke, name="account_key_revoke"),
]
