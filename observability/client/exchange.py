"""Build the prediction record of an HTTP request and its response, for the ASGI and the WSGI middleware."""

import json
import logging
import os
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypedDict, TypeVar, Unpack

from observability.client.encode import describe_error
from observability.client.log import Logger

MAX_BODY_BYTES = 1024 * 1024
STATUSES = ("ok", "error", "timeout", "fallback", "rejected")
FAILED = ("error", "timeout", "rejected")  # a record with one of these statuses needs no score
_REJECTED = (400, 409, 413, 422, 429)  # requests with these statuses reached the model; with 401 or 404 they did not
_TIMEOUTS = (408, 504)
REQUEST_LISTS, RESPONSE_LISTS = ("instances", "inputs", "records"), ("predictions", "outputs", "results", "scores")
"""Fields that hold several predictions or several answers, as they are named by usual model servers."""
WARN_SECONDS = 60.0
_warnings = logging.getLogger("observability.client")
Application = TypeVar("Application")


class Options(TypedDict, total=False):
    """Keywords of both middlewares.

    home, sample: as for Logger; logger: an existing logger instead. paths: paths of the requests that are logged (all by default); a path
    that ends with * stands for all paths with that prefix. methods: POST by default. environment: written to each record. max_body_bytes:
    largest request or response body that is read, 1 MB by default; larger bodies pass unchanged, and the record is dropped.
    features(request) -> {name: value}, or None to skip; by default request["features"], or the request without id and subject.
    outcome(response) -> fields of the record, for a successful response; by default score (or probability), prediction, threshold, status
    and version of the response; a bare number is a score. identify(request, response, headers) -> id, or None for a new one; by default
    `id` of the response, `id` of the request, or the header x-request-id. subject(request, headers) -> text or None; by default
    request["subject"]. A request may be a list of objects, or have such a list in `instances`, `inputs` or `records`; each object is then
    one prediction. The response must then be a list of the same length, or have one in `predictions`, `outputs`, `results` or `scores`, and
    the functions are called with each pair. extract(request, response, headers) -> fields of each record, `features` among them; it
    replaces all of these functions, for bodies of other shapes. Its response is None if the application failed. Bodies are passed as parsed
    JSON; a response that is not JSON is None. Header names are in lower case.
    """

    home: str | os.PathLike[str] | None
    logger: Logger | None
    sample: float
    paths: Collection[str] | None
    methods: Collection[str]
    environment: str | None
    max_body_bytes: int
    features: Callable[[Any], Mapping[str, object] | None] | None
    outcome: Callable[[Any], Mapping[str, object]] | None
    identify: Callable[[Any, Any, Mapping[str, str]], object] | None
    subject: Callable[[Any, Mapping[str, str]], object] | None
    extract: Callable[[Any, Any, Mapping[str, str]], Iterable[Mapping[str, object]]] | None


class Capture:
    """Keeps up to `limit` bytes. `body` is None if there were more bytes, or after `give_up`."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept: bytearray | None = bytearray()

    def add(self, chunk: bytes) -> None:
        """Keep a chunk within the limit. The server rejects a chunk that is not bytes."""
        try:
            if self._kept is not None:
                if len(self._kept) + len(chunk) > self._limit:
                    self.give_up()
                else:
                    self._kept += chunk
        except TypeError:
            self.give_up()

    def give_up(self) -> None:
        """Free the kept bytes and keep no more."""
        self._kept = None

    @property
    def body(self) -> bytes | None:
        """The whole body; None if it was not kept."""
        return None if self._kept is None else bytes(self._kept)


@dataclass(frozen=True)
class Exchange:
    """One request and its response. status: None without a response. failure: the application's exception. Bodies as in `Capture`."""

    at: str
    latency_ms: float
    headers: Mapping[str, str]
    request: bytes | None
    status: int | None
    response: bytes | None
    failure: BaseException | None = None


class Recorder:
    """Writes the records of exchanges. Neither `wants` nor `record` raises."""

    def __init__(self, model: str, version: str, **options: Unpack[Options]) -> None:
        self.model, self.version = model, version
        self.log = options.get("logger") or Logger(options.get("home"), sample=options.get("sample", 1.0))
        self.max_body_bytes = options.get("max_body_bytes", MAX_BODY_BYTES)
        paths = options.get("paths")
        self._exact = None if paths is None else frozenset(path for path in paths if not path.endswith("*"))
        self._prefixes = tuple(path[:-1] for path in paths or () if path.endswith("*"))
        self._methods = frozenset(method.upper() for method in options.get("methods", ("POST",)))
        self._environment = options.get("environment")
        self._features = options.get("features") or default_features
        self._outcome = options.get("outcome") or default_outcome
        self._identify = options.get("identify") or default_identity
        self._subject = options.get("subject") or default_subject
        self._extract = options.get("extract")
        self.unscored = self._unscored_told = 0
        self._told_at: float | None = None

    def wants(self, method: str, path: str, content_type: str) -> bool:
        """Whether a request may carry a prediction: its method and path match, and its body may be JSON."""
        if method not in self._methods or (content_type and "json" not in content_type.lower()):
            return False
        return self._exact is None or path in self._exact or path.startswith(self._prefixes)

    def record(self, exchange: Exchange) -> None:
        """Log the exchange if it is a prediction. It is not a prediction if the body is not a JSON object or list of objects, or if the
        status is one such as 302 or 404.
        """
        try:
            self._record(exchange)
        except Exception as error:
            self.log.drop(f"middleware: {describe_error(error)}")

    def _record(self, exchange: Exchange) -> None:
        status = response_status(exchange.status, exchange.failure)
        if status is None:
            return
        if exchange.request is None:
            self.log.drop(f"middleware: the request has more than {self.max_body_bytes} bytes")
            return
        request, response = _parsed(exchange.request), _parsed(exchange.response)
        base: dict[str, Any] = {"model": self.model, "version": self.version, "environment": self._environment, "at": exchange.at}
        base |= {"status": status, "latency_ms": round(exchange.latency_ms, 3)}
        if self._extract is not None:
            found = self._extract(request, response if status == "ok" else None, exchange.headers)
            self._write_scored([base | dict(fields) for fields in found])
            return
        items = request_items(request)
        if items is None:
            self._write_scored(self._records(base, [request], [response], exchange.headers))
            return
        answers = response_items(response) if status == "ok" else [None] * len(items)
        if answers is None or len(answers) != len(items):
            got = "none" if answers is None else len(answers)
            self._count_unscored(len(items), f"the request has {len(items)} predictions, the response has {got}")
            return
        self._write_scored(self._records(base, items, answers, exchange.headers, numbered=True))

    def _records(
        self, base: dict[str, Any], requests: Sequence[Any], responses: Sequence[Any], headers: Mapping[str, str], *, numbered: bool = False
    ) -> list[dict[str, Any]]:
        """The fields of each prediction of a request. numbered: whether an id from the header gets the prediction's place in the list as a
        suffix.
        """
        found = []
        for place, (request, response) in enumerate(zip(requests, responses, strict=True)):
            features = self._features(request) if isinstance(request, dict) else None
            if features is None:
                continue
            fields = base | {"features": features, "subject": self._subject(request, headers)}
            if base["status"] == "ok":
                fields |= self._outcome(response)
            own = (
                dict(headers) | {"x-request-id": f"{headers['x-request-id']}-{place}"}
                if numbered and headers.get("x-request-id")
                else headers
            )
            fields["id"] = self._identify(request, response, own)
            found.append(fields)
        return found

    def _write_scored(self, records: Iterable[dict[str, Any]]) -> None:
        """Log the records. Answers without a score are only counted, with a warning."""
        unscored = 0
        for fields in records:
            if fields["status"] not in FAILED and fields.get("score") is None and fields.get("prediction") is None:
                unscored += 1
            else:
                self.log.prediction(**fields)
        if unscored:
            self._count_unscored(unscored, "the response has no score, probability or prediction that could be read")

    def _count_unscored(self, count: int, why: str) -> None:
        """Count predictions whose answer holds no score, and warn at most once a minute."""
        first = self.log.dropped == 0  # the logger warns of the first record that it drops
        self.unscored += count
        self.log.drop(f"middleware: {why}", count)
        now = time.monotonic()
        if first or self._told_at is None or now - self._told_at >= WARN_SECONDS:
            if not first:
                _warnings.warning("%d predictions of %s could not be logged: %s", self.unscored - self._unscored_told, self.model, why)
            self._told_at, self._unscored_told = now, self.unscored


class Middleware(Generic[Application]):
    """The base of both middlewares: the application and the recorder of its exchanges."""

    def __init__(self, app: Application, model: str, version: str, **options: Unpack[Options]) -> None:
        self.app = app
        self._recorder = Recorder(model, version, **options)

    @property
    def dropped(self) -> int:
        """Number of predictions that could not be logged."""
        return self._recorder.log.dropped

    @property
    def unscored(self) -> int:
        """Number of predictions that were not logged because the answer held no score; they are among the dropped ones."""
        return self._recorder.unscored

    @property
    def last_error(self) -> str | None:
        """The reason of the last dropped prediction; None without an error."""
        return self._recorder.log.last_error

    def close(self) -> None:
        """Publish the logged records and close the log."""
        self._recorder.log.close()


def response_status(status: int | None, failure: BaseException | None) -> str | None:
    """The record's status for an HTTP status or a failure; None if the request did not reach the model.

    A cancelled request counts as a timeout. Once a response has begun with an error status, that status decides.
    """
    if failure is not None and (status is None or status < 400):
        name = type(failure).__name__
        return "timeout" if isinstance(failure, TimeoutError) or "Timeout" in name or name == "CancelledError" else "error"
    if status is None or (status >= 500 and status not in _TIMEOUTS):
        return "error"
    if status in _TIMEOUTS:
        return "timeout"
    if status in _REJECTED:
        return "rejected"
    return "ok" if 200 <= status < 300 else None


def request_items(request: Any) -> list[Any] | None:
    """The predictions that a request asks for together; None for a request for one prediction."""
    found = request if isinstance(request, list) else _list_in(request, REQUEST_LISTS)
    return found if found and all(isinstance(item, dict) for item in found) else None


def response_items(response: Any) -> list[Any] | None:
    """The answers in a response to several predictions; None if the response holds no list."""
    return response if isinstance(response, list) else _list_in(response, RESPONSE_LISTS)


def _list_in(body: Any, names: Iterable[str]) -> list[Any] | None:
    """The first list under one of these names."""
    if not isinstance(body, dict):
        return None
    return next((body[name] for name in names if isinstance(body.get(name), list)), None)


def may_be_json(headers: Mapping[str, str]) -> bool:
    """Whether a response with these headers (names in lower case) can be read: it is not compressed, and its type is JSON or not stated."""
    return "content-encoding" not in headers and "json" in headers.get("content-type", "json").lower()


def default_features(request: Any) -> Mapping[str, object]:
    """request["features"] if that is an object, else the whole request without its id and subject."""
    features = request.get("features")
    return features if isinstance(features, dict) else {name: value for name, value in request.items() if name not in ("id", "subject")}


def default_outcome(response: Any) -> dict[str, object]:
    """The fields of the record that a response contains; `probability` or a bare number becomes the score."""
    if isinstance(response, int | float) and not isinstance(response, bool):
        return {"score": response}
    if not isinstance(response, dict):
        return {}
    named = {name: response[name] for name in ("score", "prediction", "threshold", "version") if response.get(name) is not None}
    if "score" not in named and response.get("probability") is not None:
        named["score"] = response["probability"]
    if response.get("status") in STATUSES:
        named["status"] = response["status"]
    return named


def default_identity(request: Any, response: Any, headers: Mapping[str, str]) -> object:
    """`id` of the response, else of the request, else the header x-request-id, else None."""
    for body in (response, request):
        if isinstance(body, dict) and isinstance(body.get("id"), str | int) and body["id"] != "":
            return body["id"]
    return headers.get("x-request-id") or None


def default_subject(request: Any, headers: Mapping[str, str]) -> object:
    """request["subject"] if that is text or a whole number, else None."""
    subject = request.get("subject")
    return str(subject) if isinstance(subject, str | int) else None


def _parsed(body: bytes | None) -> Any:
    try:
        return json.loads(body) if body else None
    except ValueError:
        return None
