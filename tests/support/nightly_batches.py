"""Eight nights of the model `churn`, which answers in batches of 200 keys. The last batch lacks 60 of them."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from observability.store.engine import Store


def nightly_lines() -> list[dict[str, Any]]:
    """The records of the expected batches and of the predictions, from 2 March 2026 on."""
    rng, lines = np.random.default_rng(3), []
    for night in range(8):
        at, name = datetime(2026, 3, 2, 2) + timedelta(days=night), f"night-{night}"
        common = {"model": "churn", "at": f"{at.isoformat()}Z", "received_at": f"{at.isoformat()}Z"}
        keys = [f"c{place}" for place in range(200)]
        lines.append({"kind": "expected_batch", "batch": name, "keys": keys, "due": f"{(at + timedelta(hours=2)).isoformat()}Z", **common})
        for key in keys if night < 7 else keys[:140]:
            row = {"kind": "prediction", "id": f"{name}-{key}", "version": "1", "features": {"x": 1.0}, "subject": key, "batch": name}
            lines.append({**row, "score": round(float(rng.random()), 4), **common})
    return lines


def gate_batches(store: Store) -> None:
    """Set the field that holds the key of a row. This setting turns the gate on."""
    store.update_settings("churn", replace(store.catalog().model("churn").settings, batch_key="subject"))
