"""Forty nights of probes of a vendor that does not exist: a fixed set of 60 real texts, and a silent change. `python sample_data/vendor.py`

Everything but the texts and their labels is simulated. The vendor answers as the fleet's own sentiment model does (the class with the
largest probability), and one answer in a hundred is another class by chance. From night 35 on, 12 answers differ; the declared version
stays the same. In two nights an answer repeats a canary that an export to the vendor planted (exports.py). The records are made by the
product's own `probe`; latencies, tokens and prices are drawn.
"""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

HERE = Path(__file__).resolve().parent
MODEL, SET, FILE = "acme/sentiment-small", "sixty texts", "vendor.predictions.parquet"
SETTINGS = "vendor.toml"
"""The budget of the vendor, in the settings of its model."""
VERSION = "sentiment-small-2024-09"
CLASSES = ("negative", "neutral", "positive")
FEATURES = ("input_tokens", "output_tokens")
NIGHTS, ITEMS, NOISE, CHANGED, CHANGED_FROM = 40, 60, 0.01, 12, 34
FIRST = datetime(2024, 10, 20, 2, 30, tzinfo=UTC)
REPLY, REPEATED = "positive, as in the text about harbour-lantern-4417", ((23, 31), (36, 8))
"""A long answer of the vendor that contains a canary, and the nights and positions in the set at which it comes."""


def questions(folder: Path) -> pd.DataFrame:
    """Sixty texts of the fleet: item, text, expected (the label), answer (by the fleet's own model)."""
    served = pd.read_parquet(folder / "sentiment.predictions.parquet", columns=["id", "environment", "text", "score"])
    labels = pd.read_parquet(folder / "sentiment.labels.parquet", columns=["id", "value"])
    rows = served[served["environment"] == "production"].merge(labels, on="id").sort_values("id").head(ITEMS)
    answers = [max(score, key=lambda name: (score[name], name)) for score in rows["score"]]
    return pd.DataFrame({"item": rows["id"], "text": rows["text"], "expected": rows["value"], "answer": answers}).reset_index(drop=True)


def nights(asked: pd.DataFrame) -> list[dict[str, Any]]:
    """The records of all nights."""
    from observability.probing.ask import probe_record
    from observability.probing.http_adapter import ProbeAnswer
    from observability.probing.probe_file import parse_probe_set

    probe = parse_probe_set(
        {
            "probe": {
                "model": MODEL,
                "set": SET,
                "url": "https://vendor.invalid/v1/chat/completions",
                "body": {"messages": [{"role": "user", "content": "negative, neutral or positive? {question}"}]},
                "answers": list(CLASSES),
                "read": {"answer": "/choices/0/message/content"},
                "input_price": 0.15,
                "output_price": 0.6,
                "currency": "USD",
            },
            "item": [{"item": row.item, "question": row.text, "expected": row.expected} for row in asked.itertuples()],
        },
        "vendor.toml",
    )
    rng, found = np.random.default_rng(71), []
    for night in range(NIGHTS):
        at, speed = FIRST + timedelta(days=night), float(rng.lognormal(0, 0.05))
        for place, item in enumerate(probe.items):
            code = CLASSES.index(asked["answer"].iloc[place])
            code = (code + (night >= CHANGED_FROM and place < CHANGED)) % len(CLASSES)
            answer = CLASSES[int(rng.integers(len(CLASSES))) if rng.random() < NOISE else code]
            values = {"version": VERSION, "input_tokens": 12 + len(item.question) // 4, "output_tokens": 1}
            latency = round(float(420 * speed * rng.lognormal(0, 0.25)), 1)
            at += timedelta(milliseconds=latency)
            record = probe_record(probe, item, ProbeAnswer("ok", latency, answer, None, values), at, f"probe-night-{night:02}")
            reply = REPLY if (night, place) in REPEATED else None
            found.append({**record, "reply": reply, "source": "simulated", "received_at": at.isoformat()})
    return found


def make(out: Path) -> None:
    """Writes vendor.predictions.parquet."""
    rows = pd.DataFrame(nights(questions(out)))
    features = pd.DataFrame(rows.pop("features").tolist())
    for name in ("at", "received_at"):
        rows[name] = pd.to_datetime(rows[name], utc=True, format="ISO8601")
    rows.drop(columns="kind").assign(**features).to_parquet(out / FILE, index=False, compression="zstd")


if __name__ == "__main__":
    sys.path.insert(0, str(HERE.parent))
    make(HERE)
