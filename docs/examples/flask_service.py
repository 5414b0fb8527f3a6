"""A scoring service with Flask that logs its predictions."""

import os
import sys

from flask import Flask, Response, jsonify, request

import observability as obs

app = Flask(__name__)


def score(features: dict) -> float:
    """The model."""
    return min(max(0.01 * features["age"], 0.0), 1.0)


@app.post("/score")
def answer_scores() -> Response:
    """Score one object or a list of them."""
    body = request.get_json()
    return jsonify([{"score": score(row)} for row in body] if isinstance(body, list) else {"score": score(body)})


log = obs.Logger(url=os.environ["COLLECTOR"]) if "COLLECTOR" in os.environ else obs.Logger()
unlogged = app.wsgi_app
app.wsgi_app = obs.ObservabilityWSGIMiddleware(unlogged, model="loan", version="3", paths=["/score"], logger=log)

if __name__ == "__main__":
    app.run(host="127.0.0.1", port=int(sys.argv[1]))
