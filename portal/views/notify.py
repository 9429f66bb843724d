"""Where payment providers call back: one address for each account, with nothing secret in it."""

from uuid import UUID

import structlog
from django.core.exceptions import RequestDataTooBig
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from billing import orders
from billing.errors import CallbackRefused, NotFound, PaymentAway
from billing.payments import Callback

log = structlog.get_logger(__name__)

_AGAIN_AFTER_S = 30


@csrf_exempt
@require_http_methods(["GET", "POST"])
def notify(request: HttpRequest, account: UUID) -> HttpResponse:
    """Hand a callback on, and answer in the provider's words once everything is booked.

    400 for one that is not genuine, 503 for one that shall come again.
    """
    try:
        callback = Callback(
            method=str(request.method),
            query=request.META["QUERY_STRING"],
            headers={name.lower(): value for name, value in request.headers.items()},
            body=request.body,
        )
        answer = orders.hear(account, callback)
    except NotFound as error:
        raise Http404 from error
    except (CallbackRefused, RequestDataTooBig) as error:
        log.warning("callback_refused", account=str(account), reason=str(error))
        return _plain("refused", status=400)
    except PaymentAway as error:
        log.warning("callback_postponed", account=str(account), reason=str(error))
        response = _plain("later", status=503)
        response["Retry-After"] = str(_AGAIN_AFTER_S)
        return response
    return _plain(answer, status=200)


def _plain(text: str, *, status: int) -> HttpResponse:
    return HttpResponse(text, content_type="text/plain; charset=utf-8", status=status)
