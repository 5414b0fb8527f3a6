"""A vendor of a chat model on loopback. A function gives the answers, and requests are recorded."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Reply = tuple[int, dict[str, str], bytes]


def completion(text: str, model: str = "chat-small-2026-01", tokens: tuple[int, int] = (20, 3)) -> Reply:
    """A response in the form of a chat completion."""
    body = {
        "model": model,
        "choices": [{"message": {"role": "assistant", "content": text}}],
        "usage": {"prompt_tokens": tokens[0], "completion_tokens": tokens[1]},
    }
    return 200, {"Content-Type": "application/json"}, json.dumps(body).encode()


class FakeVendor:
    """reply: a function from the question to a response. seen: path, headers and body of each request."""

    def __init__(self, reply: Callable[[str], Reply]) -> None:
        self.reply, self.seen, self.url = reply, [], ""

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer one request."""
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        parsed = json.loads(body) if body else {}
        self.seen.append((handler.path, dict(handler.headers), parsed))
        question = parsed["messages"][-1]["content"] if parsed else handler.path
        status, headers, content = self.reply(question)
        handler.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            handler.send_header(name, value)
        handler.end_headers()
        with suppress(ConnectionError):  # the client does not wait any longer
            handler.wfile.write(content)


@contextmanager
def serving_vendor(reply: Callable[[str], Reply]) -> Iterator[FakeVendor]:
    """A vendor that serves until the block ends."""
    vendor = FakeVendor(reply)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            vendor.answer(self)

        do_GET = do_POST

        def log_message(self, *_: Any) -> None:
            """Print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    vendor.url = f"http://127.0.0.1:{server.server_port}/v1/chat/completions"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield vendor
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def probe_toml(url: str, **own: str) -> str:
    """A probe file with three questions and two classes. own: further lines of [probe] in TOML."""
    further = "\n".join(f"{name} = {value}" for name, value in own.items())
    return f'''[probe]
model = "acme/chat-small"
set = "tickets"
url = "{url}"
token = "ACME_TOKEN"
answers = ["billing", "delivery"]
input_price = 0.5
output_price = 1.5
{further}
[probe.headers]
Authorization = "Bearer {{token}}"
[probe.body]
model = "chat-small"
temperature = 0
messages = [{{role = "system", content = "One word."}}, {{role = "user", content = "Topic of: {{question}}"}}]
[probe.read]
answer = "/choices/0/message/content"
version = "/model"
input_tokens = "/usage/prompt_tokens"
output_tokens = "/usage/completion_tokens"
[[item]]
item = "t1"
question = "My invoice is wrong."
expected = "billing"
[[item]]
item = "t2"
question = "Where is my parcel?"
expected = "delivery"
[[item]]
item = "t3"
question = "Charged twice"
'''
