"""A device that was always worse than the others of its source is named (rejected rows, rows, delay); no finding names another device."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from observability.analyzers.data import batches
from observability.core.catalog import Model
from observability.core.finding import Finding, needs_action, news_of
from observability.core.settings import ModelSettings
from tests.support.deliveries import START, delivery_frames
from tests.support.device_fleet import device_batches
from tests.support.length import allowed, repeats, some

RUNS = repeats(8, 300)
Batch = dict[str, Any]


def peers_of(rows: list[Batch], limits: dict[str, float] | None = None, against: str = "peers") -> list[Finding]:
    """The findings from the comparison with peers (or with the past). One model has an owner's limits, another has none."""
    frames, context = delivery_frames(rows)
    models = {name: Model(0, name, settings=ModelSettings(limits=stated)) for name, stated in (("a", limits or {}), ("b", {}))}
    told = batches.analyze(frames, replace(context, counters={"models": models}))
    return [each for each in told if each.against == against]


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


@pytest.mark.parametrize(("change", "metric", "words"), some(CASES, 2))
def test_a_device_that_was_always_worse_is_critical_and_ongoing(change: Callable, metric: str, words: str) -> None:
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


def test_a_new_device_fault_is_not_reported_against_peers_and_few_devices_are_not_compared() -> None:
    rng = np.random.default_rng(3)
    clean = device_batches(rng, fleet=8, before=30)
    new = [rejecting(rng, each) if each["device"] == "d2" and each["at"] >= START else each for each in clean]
    assert peers_of(new) == [], "the comparison with the device's own past reports the change"
    assert peers_of([rejecting(rng, each) if each["device"] == "d2" else each for each in clean if each["device"] < "d5"]) == []


def test_clean_fleets_raise_no_critical_finding_and_few_warnings() -> None:
    raised = [each.severity for seed in range(RUNS) for each in peers_of(device_batches(np.random.default_rng(seed), fleet=8, before=20))]
    assert "act" not in raised and sum(map(needs_action, raised)) <= allowed(0.03, RUNS)


def gateways() -> list[Batch]:
    """Ten gateways: nine send 1,440 rows per batch, and one sends 288 by design."""
    rng = np.random.default_rng(5)
    fleet = device_batches(rng, fleet=10, before=30)
    return [each | {"rows": 288 if each["device"] == "d2" else 1440, "rejected_rows": 0} for each in fleet]


def test_an_owners_limit_can_accept_or_tighten_a_device_difference() -> None:
    (found,) = peers_of(gateways())
    assert (found.subject, found.metric, found.severity) == ("source:greenhouse/device:d2", "batch_rows", "act")
    assert found.limit == pytest.approx(720) and "owner" not in found.because
    assert peers_of(gateways(), {"data/batches/batch_rows": 0.15}) == []
    (stricter,) = peers_of(gateways(), {"data/batches/batch_rows": 0.3})
    assert (
        stricter.severity == "act"
        and stricter.limit == pytest.approx(432)
        and "; the owner's limit is 30 % of the usual rows." in stricter.because
    )


def test_an_owners_limit_applies_to_the_past_comparison_and_the_finding_shows_it() -> None:
    rows = device_batches(np.random.default_rng(6), fleet=1, before=40)
    rows[-1] |= {"rejected_rows": rows[-1]["rows"] // 5}

    def rejected(limits: dict[str, float]) -> Finding:
        (found,) = [each for each in peers_of(rows, limits, "past") if each.metric == "batch_rejected_rate"]
        return found

    plain, raised, strict = (
        rejected({}),
        rejected({"data/batches/batch_rejected_rate": 0.3}),
        rejected({"data/batches/batch_rejected_rate": 0.1}),
    )
    usual = plain.evidence["baseline"]
    assert plain.severity == "act" and plain.limit == pytest.approx(usual + 0.05)
    assert raised.severity == "watch" and raised.limit == pytest.approx(usual + 0.02)
    assert (
        strict.severity == "act"
        and strict.limit == pytest.approx(usual + 0.1)
        and "; the owner's limit is 10 points more." in strict.because
    )
