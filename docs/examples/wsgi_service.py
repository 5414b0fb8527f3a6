"""A scoring service without a framework (WSGI) that logs its predictions."""

import json
import os
import sys
from collections.abc import Callable
from wsgiref.simple_server import make_server

import observability as obs


def score(features: dict) -> float:
    """The model."""
    return min(max(0.01 * features["age"], 0.0), 1.0)


def application(environ: dict, start_response: Callable) -> list[bytes]:
    """Score one object or a list of them."""
    request = json.loads(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)))
    answer = [{"score": score(row)} for row in request] if isinstance(request, list) else {"score": score(request)}
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(answer).encode()]


log = obs.Logger(url=os.environ["COLLECTOR"]) if "COLLECTOR" in os.environ else obs.Logger()
app = obs.ObservabilityWSGIMiddleware(application, model="loan", version="3", paths=["/score"], logger=log)

if __name__ == "__main__":
    make_server("127.0.0.1", int(sys.argv[1]), app).serve_forever()
