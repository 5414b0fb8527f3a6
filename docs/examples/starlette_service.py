"""A scoring service with Starlette (ASGI) that logs its predictions."""

import os
import sys

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

import observability as obs


def score(features: dict) -> float:
    """The model."""
    return min(max(0.01 * features["age"], 0.0), 1.0)


async def answer_scores(request: Request) -> JSONResponse:
    """Score one object or a list of them."""
    body = await request.json()
    return JSONResponse([{"score": score(row)} for row in body] if isinstance(body, list) else {"score": score(body)})


log = obs.Logger(url=os.environ["COLLECTOR"]) if "COLLECTOR" in os.environ else obs.Logger()
app = Starlette(routes=[Route("/score", answer_scores, methods=["POST"])])
app = obs.ObservabilityMiddleware(app, model="loan", version="3", paths=["/score"], logger=log)

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]))
