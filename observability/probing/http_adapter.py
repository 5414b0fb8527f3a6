"""Send one request to the address of a probe set. The request is limited in time and size, is retried, and follows no redirects. The
response is read with JSON pointers.

Only the standard library is needed. Only the address in the file is contacted, through its `proxy` if it states one; proxies from the
environment are not used. The token is read from its environment variable for each request, and appears in no record and no error.
"""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote
from urllib.request import HTTPRedirectHandler, OpenerDirector, ProxyHandler, Request, build_opener

from observability.core.errors import UsageError
from observability.core.version import VERSION
from observability.probing.probe_file import QUESTION, TOKEN, ProbeItem, ProbeSet

MAX_RESPONSE = 1_000_000
"""Maximum size of a response, in bytes."""
MAX_ANSWER = 4_000
"""Maximum number of characters of an answer that are kept."""
RETRIED = (408, 425, 429, 500, 502, 503, 504)
LONGEST_WAIT = 30.0
"""Longest wait between two tries, in seconds, whatever Retry-After requests."""
HIDDEN = "***"


@dataclass(frozen=True)
class ProbeAnswer:
    """The response to one question.

    status: the status of the prediction. latency_ms: the latency of the last try. error: why there is no answer. values: the values at the
    other pointers. is_number: whether the response states the answer as a number, not as text.
    """

    status: str
    latency_ms: float
    answer: str | None = None
    error: str | None = None
    values: Mapping[str, Any] | None = None
    tries: int = 1
    is_number: bool = False


class _NoRedirects(HTTPRedirectHandler):
    """Refuses redirects, so that only the address in the file is contacted."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Return None, so that no redirect is followed."""


def probe_opener(probe: ProbeSet) -> OpenerDirector:
    """The opener that sends the requests of a set."""
    proxies = {"http": probe.proxy, "https": probe.proxy} if probe.proxy else {}
    return build_opener(ProxyHandler(proxies), _NoRedirects())


def filled_template(template: Any, question: str) -> Any:
    """A template in which `{question}` is replaced by the question, in every text at any depth."""
    if isinstance(template, str):
        return template.replace(QUESTION, question)
    if isinstance(template, dict):
        return {name: filled_template(value, question) for name, value in template.items()}
    return [filled_template(value, question) for value in template] if isinstance(template, list) else template


def value_at_pointer(body: Any, pointer: str) -> Any:
    """The value at a JSON pointer (RFC 6901); None if there is none."""
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(body, dict):
            body = body.get(key)
        elif isinstance(body, list) and key.isdigit() and int(key) < len(body):
            body = body[int(key)]
        else:
            return None
    return body


def probe_request(probe: ProbeSet, item: ProbeItem, environ: Mapping[str, str]) -> tuple[Request, str]:
    """The request for a question, and the token that it contains ("" if none). Raises UsageError if the variable with the token is
    not set.
    """
    token = ""
    if probe.token:
        token = environ.get(probe.token, "").strip()
        if not token:
            raise UsageError(
                f"the environment variable {probe.token} is not set", where=probe.model, attempt="Set it where the questions are asked"
            )
        if not token.isprintable():
            raise UsageError(f"the environment variable {probe.token} holds no token", expected="printable characters on one line")
    headers = {"User-Agent": f"observability/{VERSION}", "Accept": "application/json"}
    data = None
    if probe.body is not None:
        data = json.dumps(filled_template(probe.body, item.question)).encode()
        headers["Content-Type"] = "application/json"
    headers |= {name: text.replace(TOKEN, token) for name, text in probe.headers.items()}
    url = probe.url.replace(QUESTION, quote(item.question, safe=""))
    return Request(url, data=data, headers=headers, method=probe.method), token  # noqa: S310 - the scheme was checked


def asked_once(opener: OpenerDirector, request: Request, probe: ProbeSet) -> tuple[str, bytes, str | None, float]:
    """The result of one try: status, body, error, and how many seconds the vendor asks to wait."""
    try:
        with opener.open(request, timeout=probe.timeout_s) as response:
            body = response.read(MAX_RESPONSE + 1)
        if len(body) > MAX_RESPONSE:
            return "rejected", b"", f"the response is larger than {MAX_RESPONSE:,} bytes", 0.0
        return "ok", body, None, 0.0
    except HTTPError as error:
        error.close()
        wait = str(error.headers.get("Retry-After") or "") if error.headers else ""
        seconds = min(float(wait), LONGEST_WAIT) if wait.isdigit() else 0.0
        return "error" if error.code in RETRIED else "rejected", b"", f"HTTP {error.code}", seconds
    except TimeoutError:
        return "timeout", b"", f"no response within {probe.timeout_s:g} s", 0.0
    except URLError as error:
        late = isinstance(error.reason, TimeoutError)
        return "timeout" if late else "error", b"", f"no response within {probe.timeout_s:g} s" if late else str(error.reason), 0.0
    except (OSError, HTTPException) as error:
        return "error", b"", type(error).__name__, 0.0


def ask_item(
    probe: ProbeSet,
    item: ProbeItem,
    environ: Mapping[str, str],
    opener: OpenerDirector,
    sleep: Callable[[float], object] = time.sleep,
) -> ProbeAnswer:
    """Ask one question, and repeat it after errors and timeouts. The pauses are 1, 2, 4 … seconds, or as long as the vendor asks, at most
    30.

    sleep: the function that waits; a test replaces it.
    """
    request, token = probe_request(probe, item, environ)
    tries, most = 0, int(probe.retries) + 1
    while True:
        tries += 1
        began = time.monotonic()
        status, body, error, wait = asked_once(opener, request, probe)
        latency = (time.monotonic() - began) * 1000
        if status in ("ok", "rejected") or tries >= most:
            break
        sleep(wait or min(2.0 ** (tries - 1), LONGEST_WAIT))
    if status != "ok":
        return ProbeAnswer(status, latency, error=without_token(error or "", token), tries=tries)
    return read_answer(probe, body, latency, token, tries)


def read_answer(probe: ProbeSet, body: bytes, latency_ms: float, token: str, tries: int) -> ProbeAnswer:
    """The answer in a response, by the pointers of the set."""
    try:
        parsed = json.loads(body)
    except ValueError:
        return ProbeAnswer("error", latency_ms, error="the response is not JSON", tries=tries)
    answer = value_at_pointer(parsed, probe.read["answer"])
    if answer is None:
        return ProbeAnswer("error", latency_ms, error=f"the response has nothing at {probe.read['answer']}", tries=tries)
    text = answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False, sort_keys=True)
    others = {name: value_at_pointer(parsed, pointer) for name, pointer in probe.read.items() if name != "answer"}
    values = {name: without_token(value, token) if isinstance(value, str) else value for name, value in others.items() if value is not None}
    is_number = isinstance(answer, int | float) and not isinstance(answer, bool)
    return ProbeAnswer("ok", latency_ms, without_token(text, token)[:MAX_ANSWER], None, values, tries, is_number)


def without_token(text: str, token: str) -> str:
    """A text in which the token is replaced by HIDDEN."""
    return text.replace(token, HIDDEN) if token else text
