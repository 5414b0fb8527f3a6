"""A device that was always worse than the others of its source is named beside them: rejected rows, rows, delay; others are silent."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from observability.analyzers.data import batches
from observability.core.finding import Finding, needs_action, news_of
from tests.support.deliveries import START, delivery_frames
from tests.support.device_fleet import device_batches
from tests.support.length import allowed, repeats

RUNS = repeats(20, 300)
Batch = dict[str, Any]


def peers_of(rows: list[Batch]) -> list[Finding]:
    """The findings of the analyzer against peers."""
    told = batches.analyze(*delivery_frames(rows))
    return [each for each in told if each.against == "peers"]


def rejecting(rng: np.random.Generator, batch: Batch) -> Batch:
    return batch | {"rejected_rows": int(rng.binomial(batch["rows"], 0.3))}


def short(rng: np.random.Generator, batch: Batch) -> Batch:
    rows = batch["rows"] // 3
    return batch | {"rows": rows, "rejected_rows": int(rng.binomial(rows, 0.01))}


def slow(rng: np.random.Generator, batch: Batch) -> Batch:
    return batch | {"captured_to": batch["at"] - timedelta(hours=float(rng.uniform(4, 5)))}


def sometimes_slow(rng: np.random.Generator, batch: Batch) -> Batch:
    return slow(rng, batch) if batch["at"].weekday() < 3 else batch


CASES: list[tuple[Callable[[np.random.Generator, Batch], Batch], str, str]] = [
    (rejecting, "batch_rejected_rate", "of its rows rejected"),
    (short, "batch_rows", "rows a batch"),
    (slow, "batch_delay_hours", "after capture"),
    (sometimes_slow, "batch_delay_p95_hours", "One in twenty batches"),
]


@pytest.mark.parametrize(("change", "metric", "words"), CASES)
def test_a_device_that_was_always_worse_is_as_critical_and_no_news(change: Callable, metric: str, words: str) -> None:
    hit, last = 0, None
    for seed in range(10):
        rng = np.random.default_rng(seed)
        rows = [change(rng, each) if each["device"] == "d2" else each for each in device_batches(rng, fleet=8, before=30)]
        found = peers_of(rows)
        hit += [(each.subject, each.metric) for each in found] == [("source:greenhouse/device:d2", metric)]
        last = found[0] if found else last
    assert hit >= 9
    assert last.severity == "act" and news_of(last) == "ongoing" and words in last.because and "7 other devices" in last.because
    assert "Already so before this window." in last.because
    assert last.limit < last.value if metric != "batch_rows" else last.value < last.limit


def test_the_past_tells_what_is_new_and_few_devices_are_not_compared() -> None:
    rng = np.random.default_rng(3)
    clean = device_batches(rng, fleet=8, before=30)
    new = [rejecting(rng, each) if each["device"] == "d2" and each["at"] >= START else each for each in clean]
    assert peers_of(new) == [], "its own past tells of it"
    assert peers_of([rejecting(rng, each) if each["device"] == "d2" else each for each in clean if each["device"] < "d5"]) == []


def test_clean_fleets_raise_nothing_critical_and_next_to_nothing_else() -> None:
    raised = [each.severity for seed in range(RUNS) for each in peers_of(device_batches(np.random.default_rng(seed), fleet=8, before=20))]
    assert "act" not in raised and sum(map(needs_action, raised)) <= allowed(0.03, RUNS)
