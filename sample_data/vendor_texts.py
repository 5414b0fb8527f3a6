"""Forty nights of the same invented vendor, asked for its reasons: the answers are free text, with scores by a judge. `python
sample_data/vendor_texts.py`

The product's own probe runner sends the first thirty texts of vendor.py over HTTP to a vendor that serves on this machine. The vendor is
SIMULATED, and each record states this. It names the class that it gives the text in vendor.py and quotes two words, in one of two wordings.
From night 35 on, twelve classes differ, as in vendor.py. Latencies are drawn, since a server on the same machine answers in a millisecond.
The judge is a rule. `fits` is 5 if the named class is that of the people who rated the text, 3 if one class away, 1 at the other end;
`quotes` is 5 if both quoted words occur in the text, 3 if one does, else 1.
"""

import json
import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from sample_data import vendor

SET, FILE = "thirty reasons", "vendor.texts.parquet"
ITEMS, NIGHTS, CHANGED, CHANGED_FROM, OTHER_WORDING = 30, vendor.NIGHTS, vendor.CHANGED, vendor.CHANGED_FROM, 0.2
ASKED = "Does this text sound negative, neutral or positive, and which two words say so? "
WORDINGS = (
    "This text sounds {named}. The words “{first}” and “{second}” say so.",
    "I read this text as {named}, because of the words “{first}” and “{second}”.",
)
QUOTED = r"“([^”]*)”"
SCORES = {0: 5, 1: 3, 2: 1}
"""Score by the number of classes between the named and the right class, or by the number of quoted words that the text lacks."""


def told_words(text: str) -> tuple[str, str]:
    """The two longest words of a text (the first ones among equally long words); empty texts if it has fewer."""
    words = [*dict.fromkeys(re.findall(r"[A-Za-z']{2,}", text))]
    longest = sorted(words, key=len, reverse=True)[:2]
    return (*longest, "", "")[0], (*longest, "", "")[1]


def reply(text: str, named: str, wording: int) -> str:
    """The vendor's answer."""
    first, second = told_words(text)
    return WORDINGS[wording].format(named=named, first=first, second=second)


def judged(answer: str, text: str, right: str) -> dict[str, int]:
    """The judge's scores of an answer."""
    quoted = re.findall(QUOTED, answer)
    named = next(name for name in vendor.CLASSES if name in re.sub(QUOTED, "", answer))
    missing = sum(word not in text for word in quoted)
    return {"fits": SCORES[abs(vendor.CLASSES.index(named) - vendor.CLASSES.index(right))], "quotes": SCORES[missing]}


@contextmanager
def serving_vendor(answer: Callable[[str], str]) -> Iterator[str]:
    """The address of a vendor on this machine that answers questions with the given function, until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["messages"][-1]["content"]
            said = answer(asked.removeprefix(ASKED))
            usage = {"prompt_tokens": len(asked) // 4, "completion_tokens": len(said) // 4}
            body = {"model": vendor.VERSION, "choices": [{"message": {"content": said}}], "usage": usage}
            content = json.dumps(body).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            """Print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1/chat/completions"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def probe_body(url: str, asked: list[dict[Any, Any]]) -> dict[str, Any]:
    """The probe file as a table."""
    return {
        "probe": {
            "model": vendor.MODEL,
            "set": SET,
            "url": url,
            "body": {"messages": [{"role": "user", "content": ASKED + "{question}"}]},
            "read": {
                "answer": "/choices/0/message/content",
                "version": "/model",
                "input_tokens": "/usage/prompt_tokens",
                "output_tokens": "/usage/completion_tokens",
            },
            "input_price": 0.15,
            "output_price": 0.6,
            "currency": "USD",
        },
        "item": [{"item": row["item"], "question": row["text"]} for row in asked],
    }


def text_nights(folder: Path) -> list[dict[str, Any]]:
    """The records of all nights."""
    from observability.probing.ask import ask_set
    from observability.probing.probe_file import parse_probe_set

    asked = vendor.questions(folder).head(ITEMS).astype(str).to_dict("records")
    rng, found = np.random.default_rng(73), []
    said: dict[str, str] = {}
    with serving_vendor(lambda text: said[text]) as url:
        probe = parse_probe_set(probe_body(url, asked), "reasons.toml")
        for night in range(NIGHTS):
            for place, row in enumerate(asked):
                code = (vendor.CLASSES.index(row["answer"]) + (night >= CHANGED_FROM and place < CHANGED)) % len(vendor.CLASSES)
                if rng.random() < vendor.NOISE:
                    code = int(rng.integers(len(vendor.CLASSES)))
                said[row["text"]] = reply(row["text"], vendor.CLASSES[code], int(rng.random() < OTHER_WORDING))
            times = answer_times(vendor.FIRST + timedelta(days=night, hours=2), rng)
            records = ask_set(probe, {}, clock=iter(times[:-1]).__next__).records
            for place, (record, row) in enumerate(zip(records, asked, strict=True)):
                if record["status"] != "ok":
                    raise SystemExit(f"question {record['item']} got no answer: {record.get('error')}")
                drawn = (times[place + 1] - times[place]) / timedelta(milliseconds=1)
                label = f"text-night-{night:02}"
                own = {"id": f"{label}-{record['item']}", "round": label, "latency_ms": drawn, "received_at": times[place + 1].isoformat()}
                found.append({**record, **own, "rubric": judged(record["prediction"], row["text"], row["expected"]), "source": "simulated"})
    return found


def answer_times(start: datetime, rng: np.random.Generator) -> list[datetime]:
    """When each question of a night is asked (each as soon as the previous one is answered), and when the last is answered."""
    waits = np.round(650 * rng.lognormal(0, 0.25, ITEMS)).cumsum()
    return [start + timedelta(milliseconds=float(wait)) for wait in (0.0, *waits)]


def make(out: Path) -> None:
    """Write vendor.texts.parquet."""
    rows = pd.DataFrame(text_nights(out))
    features = pd.DataFrame(rows.pop("features").tolist())
    for name in ("at", "received_at"):
        rows[name] = pd.to_datetime(rows[name], utc=True, format="ISO8601")
    rows.drop(columns="kind").assign(**features).to_parquet(out / FILE, index=False, compression="zstd")


if __name__ == "__main__":
    make(vendor.HERE)
