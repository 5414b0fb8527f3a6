"""A scoring service with Django (WSGI) that logs its predictions."""

import json
import os
import sys
from wsgiref.simple_server import make_server

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, JsonResponse
from django.urls import path

import observability as obs

settings.configure(
    ALLOWED_HOSTS=["127.0.0.1"], ROOT_URLCONF=__name__, SECRET_KEY=os.environ.get("DJANGO_SECRET_KEY", "only for this example")
)
django.setup()


def score(features: dict) -> float:
    """The model."""
    return min(max(0.01 * features["age"], 0.0), 1.0)


def answer_scores(request: HttpRequest) -> JsonResponse:
    """Score one object or a list of them."""
    body = json.loads(request.body)
    answer = [{"score": score(row)} for row in body] if isinstance(body, list) else {"score": score(body)}
    return JsonResponse(answer, safe=False)


urlpatterns = [path("score", answer_scores)]
application = get_wsgi_application()
log = obs.Logger(url=os.environ["COLLECTOR"]) if "COLLECTOR" in os.environ else obs.Logger()
app = obs.ObservabilityWSGIMiddleware(application, model="loan", version="3", paths=["/score"], logger=log)

if __name__ == "__main__":
    make_server("127.0.0.1", int(sys.argv[1]), app).serve_forever()
