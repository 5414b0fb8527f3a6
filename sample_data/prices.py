"""Example price records of the sample fleet: invented figures of a usual size, not taken from any bill.

A kWh costs 0.12 USD and emits 240 to 320 g CO2e, depending on the quarter; the PUE is 1.2. A core hour costs 0.05 USD, and 1.5 g CO2e of
embodied carbon. A request costs 0.0002 USD, a label of a text 0.05 USD.
"""

import json
from pathlib import Path
from typing import Any

FILE = "prices.jsonl"
REGION, CURRENCY = "example", "USD"
YEARS = (2013, 2014, 2016, 2017, 2018, 2024)
GRAMS_BY_QUARTER = {"01-01": 300, "04-01": 240, "07-01": 280, "10-01": 320}


def records() -> list[dict[str, Any]]:
    """The price records, in the order of time."""
    found = [price("2013-01-01", "cpu_hour", 0.05, embodied_g=1.5), price("2013-01-01", "request", 0.0002)]
    found.append(price("2014-01-01", "label", 0.05, model="sentiment"))
    for year in YEARS:
        found += [
            price(f"{year}-{day}", "kwh", 0.12, region=REGION, carbon_g_per_kwh=grams, pue=1.2) for day, grams in GRAMS_BY_QUARTER.items()
        ]
    return sorted(found, key=lambda each: str(each["from"]))


def price(day: str, resource: str, amount: float, **more: object) -> dict[str, Any]:
    """One price record, received on the day on which it takes effect."""
    at = f"{day}T00:00:00Z"
    return {"kind": "price", "from": at, "resource": resource, "amount": amount, "currency": CURRENCY, **more, "received_at": at}


def make(out: Path) -> None:
    """Writes prices.jsonl."""
    text = "".join(json.dumps(each, separators=(",", ":")) + "\n" for each in records())
    (out / FILE).write_text(text, encoding="utf-8")
