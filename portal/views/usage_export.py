"""The calls of a key as a file, with the filters of the page."""

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from portal.forms.usage import FilterForm
from portal.request import tenant_of
from portal.usage import export
from portal.usage.period import period_of
from portal.usage.visit import Visit
from portal.views.usage import with_visit

_KINDS = {
    "csv": ("text/csv; charset=utf-8", export.CSV),
    "json": ("application/json", export.JSON),
}


@require_GET
@with_visit
def calls(request: HttpRequest, current: Visit, kind: str) -> HttpResponseBase:
    """Stream the calls; a filter that means nothing is refused rather than left out."""
    asked = FilterForm(request.GET)
    if not asked.is_valid():
        text = _("A filter in this address means nothing: %(names)s.") % {
            "names": ", ".join(asked.errors)
        }
        return HttpResponse(text, status=400, content_type="text/plain; charset=utf-8")
    period = period_of(request.GET.get("period", ""), shop=tenant_of(request))
    filters = asked.filters(zone=period.zone, since=period.since)
    content_type, form = _KINDS[kind]
    day = timezone.now().astimezone(period.zone)
    name = f"calls-{current.key.kid[:4]}-{day:%Y-%m-%d}.{kind}"
    return StreamingHttpResponse(
        export.stream(current.key, filters, zone=period.zone, form=form),
        content_type=content_type,
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )
