"""A predictor that speaks the inference protocols of KServe, V1 and V2, and logs its predictions.

The servers of KServe, Seldon and BentoML are ASGI applications too, and can be wrapped in the same way. V1 needs only the path. V2
sends columns as tensors, which `extract` turns into one record per row.
"""

import os
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

import observability as obs

MODEL, VERSION = "loan", "3"
V1, V2 = f"/v1/models/{MODEL}:predict", f"/v2/models/{MODEL}/infer"


def score(features: Mapping[str, Any]) -> float:
    """The model."""
    return min(max(0.01 * features["age"], 0.0), 1.0)


def rows_of_tensors(tensors: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One object per row of V2 tensors of shape [n] or [n, 1]. Each tensor is a column."""
    return [
        dict(zip([tensor["name"] for tensor in tensors], row, strict=True))
        for row in zip(*(tensor["data"] for tensor in tensors), strict=True)
    ]


async def answer_v1(request: Request) -> JSONResponse:
    """Predictions of `instances`."""
    body = await request.json()
    return JSONResponse({"predictions": [score(row) for row in body["instances"]]})


async def answer_v2(request: Request) -> JSONResponse:
    """Scores of the rows of `inputs`, as one tensor."""
    body = await request.json()
    scores = [score(row) for row in rows_of_tensors(body["inputs"])]
    tensor = {"name": "score", "shape": [len(scores)], "datatype": "FP64", "data": scores}
    return JSONResponse({"model_name": MODEL, "model_version": VERSION, "id": body.get("id"), "outputs": [tensor]})


async def answer_ready(_request: Request) -> JSONResponse:
    """Whether the predictor is ready."""
    return JSONResponse({"ready": True})


def records_of_exchange(request: Any, response: Any, _headers: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """One record per row of a V1 or V2 request; without scores if the predictor failed."""
    is_v2 = "inputs" in request
    rows = rows_of_tensors(request["inputs"]) if is_v2 else request["instances"]
    answered = response or {}
    scores = answered["outputs"][0]["data"] if "outputs" in answered else answered.get("predictions") or [None] * len(rows)
    for place, (row, one) in enumerate(zip(rows, scores, strict=True)):
        named = {"id": f"{request['id']}-{place}"} if request.get("id") else {}
        yield {**named, "features": row, "score": one}


predictor = Starlette(
    routes=[
        Route(V1, answer_v1, methods=["POST"]),
        Route(V2, answer_v2, methods=["POST"]),
        Route("/v2/health/ready", answer_ready),
    ]
)
log = obs.Logger(url=os.environ["COLLECTOR"]) if "COLLECTOR" in os.environ else obs.Logger()
app = obs.ObservabilityMiddleware(predictor, model=MODEL, version=VERSION, paths=[V1, V2], logger=log, extract=records_of_exchange)

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]))
