"""A scoring service with FastAPI that logs its predictions."""

import os
import sys

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

import observability as obs


class Applicant(BaseModel):
    """The features of one request."""

    age: float


api = FastAPI()


def score(applicant: Applicant) -> float:
    """The model."""
    return min(max(0.01 * applicant.age, 0.0), 1.0)


@api.post("/score")
def answer_scores(applicants: Applicant | list[Applicant]) -> object:
    """Score one object or a list of them."""
    return [{"score": score(one)} for one in applicants] if isinstance(applicants, list) else {"score": score(applicants)}


log = obs.Logger(url=os.environ["COLLECTOR"]) if "COLLECTOR" in os.environ else obs.Logger()
app = obs.ObservabilityMiddleware(api, model="loan", version="3", paths=["/score"], logger=log)

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]))
