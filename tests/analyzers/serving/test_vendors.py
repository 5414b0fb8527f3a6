"""A vendor's silent change is named the next morning, quiet nights raise nothing, and every figure equals a count of the answers."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from observability.analyzers.serving import vendors
from observability.core.finding import Finding, needs_action
from observability.core.formatting import format_day
from observability.detection import probe_claims
from observability.detection.answer_changes import answer_changes
from observability.detection.probe_claims import JudgedSet
from observability.detection.probe_levels import LevelHistory, level_finding
from observability.detection.probe_rounds import probe_rounds
from observability.metrics.token_prices import DailyCallCosts
from observability.probing.answer_vectors import EMBEDDING, ENCODER, packed_vector, unpacked_vector
from tests.support.length import allowed, repeats
from tests.support.vendor_nights import START, VendorNights, first_nights, morning, morning_findings, no_events


def judged(rows: pd.DataFrame, night: int, events: pd.DataFrame | None = None, **budgets: Any) -> dict[str, Finding]:
    """The findings of a morning by metric, from all answers up to then."""
    found = morning_findings(rows, night, events, **budgets)
    assert len({(each.metric, each.subject) for each in found}) == len(found)
    return {each.metric: each for each in found}


def asking(found: Sequence[Finding]) -> list[str]:
    """The sentences of the findings that need action."""
    return [each.because for each in found if needs_action(each.severity)]


def test_a_silent_change_of_12_of_60_answers_is_named_the_next_morning() -> None:
    rows = VendorNights(33, changed=12, from_night=31).rows()
    assert asking(list(judged(rows, 30).values())) == []
    found = judged(rows, 31)
    change = found[probe_claims.CHANGED]
    assert change.severity == "act" and change.news == "new" and change.model == "acme/chat" and change.subject == "probes:tickets"
    assert change.onset == START.replace(tzinfo=UTC) + timedelta(days=31) and change.likely_source == "model"
    assert (
        set(change.evidence["items"]) >= {f"q{item:03}" for item in range(12)} - set(change.evidence["items"][12:])
        and 11 <= change.value * 60 <= 15
    )
    assert change.low < change.value < change.high and change.value > change.limit
    assert "of 60 answers of `acme/chat` to set `tickets` differ from the baseline in the newest round" in change.because
    assert "The declared version stayed `2026-01`: a silent change." in change.because
    assert found[probe_claims.FLIPS].severity == "watch"
    assert found[probe_claims.RIGHT].severity == "act" and found[probe_claims.RIGHT].evidence["difference"][2] < 0
    later = judged(rows, 32)
    assert later[probe_claims.CHANGED].severity == "act" and "since 5 Feb 2026" in later[probe_claims.CHANGED].because
    assert later[probe_claims.FLIPS].severity == "ok", "no answer changed again"
    assert later[probe_claims.RIGHT].severity == "act" and later[probe_claims.RIGHT].onset == change.onset


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("noise", [0.0, 0.04])
def test_a_change_of_12_of_60_answers_is_critical_at_any_noise_level(seed: int, noise: float) -> None:
    rows = VendorNights(20, noise=noise, changed=12, from_night=19, seed=seed).rows()
    assert judged(rows, 18)[probe_claims.CHANGED].severity in ("ok", "unknown")
    assert judged(rows, 19)[probe_claims.CHANGED].severity == "act"


def test_a_change_stays_visible_until_a_person_accepts_it() -> None:
    rows = VendorNights(80, items=30, changed=10, from_night=12).rows()
    late = judged(rows, 79)[probe_claims.CHANGED]
    assert late.severity == "act" and late.news == "ongoing" and "since 17 Jan 2026" in late.because
    accepted = pd.DataFrame(
        {
            "at": [pd.Timestamp(START + timedelta(days=14))],
            "model": ["acme/chat"],
            "text": ["fine"],
            "extra": [{vendors.ACCEPTS: "tickets"}],
        }
    )
    assert judged(rows, 79, accepted)[probe_claims.CHANGED].severity == "ok"
    other = accepted.assign(extra=[{vendors.ACCEPTS: "another"}])
    assert judged(rows, 79, other)[probe_claims.CHANGED].severity == "act"
    young = judged(rows, 16, accepted)[probe_claims.CHANGED]
    assert young.severity == "unknown" and "A comparison needs 5 earlier rounds" in young.because, (
        "there are too few rounds since the change was accepted"
    )


@pytest.mark.parametrize("noise", [0.02])
def test_nights_without_a_change_rarely_raise_a_finding(noise: float) -> None:
    nights = repeats(30, 300)
    (rounds,) = probe_rounds(VendorNights(nights, noise=noise, seed=5).rows())
    said = [
        finding
        for night in range(nights)
        for finding in vendors.findings_about_rounds([(first_nights(rounds, night + 1), None)], morning(night))
    ]
    assert [each.because for each in said if each.severity == "act"] == []
    assert len(asking(said)) <= allowed(0.01, nights)


def test_a_rate_beyond_its_limit_is_never_ok() -> None:
    """Regression: 5 of 30 changed answers after 0 % before were OK at a limit of 3 %, as long as the p-value was above the budget."""
    for hits, n, usual, p in ((5, 30, 0.0, 0.002), (3, 10, 0.0, 0.02), (3, 60, 0.0, 0.2), (2, 30, 0.0, 0.1), (2, 60, 0.02, 0.4)):
        severity = probe_claims.severity_of_rate(hits, n, usual, p, 0.001)
        assert (severity == "ok") == (hits / n < probe_claims.limit_of_rate(severity, usual, n)), (hits, n, severity)
    assert probe_claims.severity_of_rate(5, 30, 0.0, 0.002, 0.001) == "unknown"


def test_a_steady_score_does_not_hide_one_that_fell() -> None:
    """Regression: among several scores, the one with the smallest p-value was reported, even if its fall was too small to matter."""
    rng = np.random.default_rng(8)
    scores = lambda item, _: {"noisy": float(2.8 if item % 2 else 4 + rng.normal(0, 0.9)), "steady": 4.0}
    rows = VendorNights(16, items=24, text=True, from_night=15, own={"rubric": scores}).rows()
    for extra in rows.loc[rows["at"] < START + timedelta(days=15), "extra"]:
        extra["rubric"] = {"noisy": float(4 + rng.normal(0, 0.9)), "steady": 4.15 + float(rng.normal(0, 0.02))}
    found = judged(rows, 15)[probe_claims.RUBRIC]
    assert found.evidence["score"] == "noisy" and found.severity != "ok", found.because


def test_a_changed_version_is_reported_but_alone_needs_no_action() -> None:
    found = judged(VendorNights(20, from_night=17, own={"version": "2026-02"}).rows(), 19)
    assert asking(list(found.values())) == []
    versions = found[probe_claims.VERSIONS]
    assert versions.value == 1 and "changed from `2026-01` to `2026-02` on 22 Jan 2026" in versions.because
    both = judged(VendorNights(20, changed=14, from_night=17, own={"version": "2026-02"}).rows(), 19)[probe_claims.CHANGED]
    assert "The declared version changed from `2026-01` to `2026-02` in that round." in both.because


@pytest.mark.parametrize(
    ("own", "metric"),
    [
        ({"refused": lambda item, rng: item % 6 == 0}, probe_claims.REFUSED),
        ({"well_formed": lambda item, rng: item % 6 != 0}, probe_claims.FORM),
        ({"status": lambda item, rng: "timeout" if item % 6 == 0 else "ok"}, probe_claims.FAILED),
        ({"latency_ms": lambda item, rng: float(1600 * rng.lognormal(0, 0.3))}, probe_claims.LATENCY),
        ({"features": {"input_tokens": 40, "output_tokens": 9}}, probe_claims.TOKENS),
    ],
)
def test_each_vendor_change_is_reported_by_its_own_metric(own: dict[str, Any], metric: str) -> None:
    found = judged(VendorNights(20, from_night=19, own=own).rows(), 19)
    assert needs_action(found[metric].severity), found[metric].because
    assert [each.metric for each in found.values() if needs_action(each.severity)] == [metric]
    assert not needs_action(judged(VendorNights(20, own=own).rows(), 18)[metric].severity)


def test_free_text_is_compared_by_similarity_and_rubric_scores_by_their_mean() -> None:
    rubric = {"rubric": lambda item, rng: {"helpful": float(3 + rng.normal(0, 0.2))}}
    quiet = judged(
        VendorNights(
            16, items=24, text=True, from_night=0, own={"rubric": lambda item, rng: {"helpful": float(4 + rng.normal(0, 0.2))}}
        ).rows(),
        15,
    )
    assert (
        asking(list(quiet.values())) == [] and quiet[probe_claims.SIMILAR].value > 0.5 and abs(quiet[probe_claims.RUBRIC].value - 4) < 0.2
    )
    rows = VendorNights(16, items=24, text=True, changed=9, from_night=15).rows()
    for extra in rows["extra"]:
        extra["rubric"] = {"helpful": 4.0}
    changed = judged(rows, 15)
    assert changed[probe_claims.CHANGED].severity == "act" and changed[probe_claims.CHANGED].value == 9 / 24
    assert needs_action(changed[probe_claims.SIMILAR].severity)
    for extra in rows.loc[rows["at"] >= START + timedelta(days=15), "extra"]:
        extra["rubric"] = rubric["rubric"](0, np.random.default_rng(0))
    assert needs_action(judged(rows, 15)[probe_claims.RUBRIC].severity)


@pytest.mark.parametrize(("p_value", "severity"), [(0.4, "unknown"), (1e-9, "watch")])
def test_a_level_beyond_its_limit_is_never_ok(p_value: float, severity: str) -> None:
    (rounds,) = probe_rounds(VendorNights(8, items=12, text=True).rows())
    changes = answer_changes(rounds, 7)
    assert changes is not None
    set_ = JudgedSet(rounds, changes, 7, morning(7), 1)
    history = LevelHistory(0.9071, 0.955, p_value, 12, 60, np.array([0.955] * 7 + [0.9071]))
    found = level_finding(set_, probe_claims.SIMILAR, history, p_value)
    assert found.severity == severity and found.value is not None and found.value < float(str(found.limit))
    assert ("later ones will tell" in found.because) == (severity == "unknown")


@pytest.mark.parametrize("kept_out", [True, False])
def test_a_fall_of_the_scores_begins_with_its_first_night(kept_out: bool) -> None:
    """kept_out: whether answers change together with the scores, so that the nights of the fall are not part of the baseline."""
    fell, nights = 26 if not kept_out else 22, 28
    rows = VendorNights(nights, items=24, changed=8 if kept_out else 0, from_night=fell).rows()
    rng = np.random.default_rng(4)
    for at, extra in zip(rows["at"], rows["extra"], strict=True):
        low = at >= START + timedelta(days=fell)
        extra["rubric"] = {"helpful": float((3.2 if low else 4.0) + rng.normal(0, 0.1))}
    lost = rows["at"].dt.date == (START + timedelta(days=nights - 2)).date()
    for extra in rows.loc[lost, "extra"] if kept_out else ():
        del extra["rubric"]
    found = judged(rows, nights - 1)[probe_claims.RUBRIC]
    assert found.severity == "act" and found.onset == (START + timedelta(days=fell)).replace(tzinfo=UTC), found.because
    assert found.because.endswith(f", since {format_day(START + timedelta(days=fell))}."), found.because
    first = judged(rows, fell)[probe_claims.RUBRIC]
    assert first.onset == found.onset and "since" not in first.because


def test_the_month_is_judged_against_the_budget_of_the_model() -> None:
    rows = VendorNights(20).rows()
    found = judged(rows, 19, budgets={"acme/chat": (1.0, "EUR")})[probe_claims.COST]
    assert found.severity == "act" and found.low > 1.0 and found.unit == "money" and "the budget of the model is 1 EUR" in found.because
    spent = 20 * 60 * 0.001
    assert abs(found.value - (spent + 7 * 0.06)) < 0.1
    assert judged(rows, 19, budgets={"acme/chat": (5.0, "EUR")})[probe_claims.COST].severity == "ok"


def two_sets() -> pd.DataFrame:
    """Two question sets of one model, each with its own cost per night."""
    first, second = VendorNights(20).rows(), VendorNights(20, seed=1).rows()
    second["extra"] = [{**extra, "set": "prices"} for extra in second["extra"]]
    return pd.concat([first, second.assign(id="p" + second["id"])], ignore_index=True)


def test_all_sets_of_a_model_and_its_calls_share_the_budget() -> None:
    """Each set alone stays within a budget of 2 a month; together they exceed it."""
    budgets: dict[str, Any] = {"acme/chat": (2.0, "EUR")}
    (alone,) = [each for each in morning_findings(VendorNights(20).rows(), 19, budgets=budgets) if each.metric == probe_claims.COST]
    assert (alone.severity, alone.value) == ("ok", pytest.approx(1.62, abs=0.1))
    (both,) = [each for each in morning_findings(two_sets(), 19, budgets=budgets) if each.metric == probe_claims.COST]
    assert (both.severity, both.subject, both.value) == ("act", "model", pytest.approx(2 * alone.value, rel=1e-6))
    assert both.evidence["parts"] == pytest.approx({"set `tickets`": 1.2, "set `prices`": 1.2}) and both.evidence["sets"] == [
        "prices",
        "tickets",
    ]
    assert "set `prices` 1.2" in both.because and "of which 2.4 is spent" in both.because
    context = morning(19, budgets)
    day = (context.window.end.replace(tzinfo=None) - datetime(1970, 1, 1)).days
    costs = {day - k: 0.1 for k in range(10)}
    context.counters["call_costs"] = lambda model, days: DailyCallCosts(costs if model == "acme/chat" else {})
    (called,) = [
        each for each in vendors.analyze({"answers": VendorNights(20).rows(), "events": no_events()}, context) if each.metric == both.metric
    ]
    assert called.severity == "act" and called.evidence["parts"]["production calls"] == pytest.approx(1.0)
    assert "production calls 1" in called.because and called.value > alone.value + 1
    for currencies in (("USD",), ("EUR", "USD")):
        context.counters["call_costs"] = lambda model, days, currencies=currencies: DailyCallCosts(costs, currencies)
        found = vendors.analyze({"answers": VendorNights(20).rows(), "events": no_events()}, context)
        (apart,) = [each for each in found if each.metric == both.metric]
        assert apart.value == pytest.approx(alone.value) and f"without production calls in {' and '.join(currencies)}" in apart.because


def test_sets_of_different_currencies_are_not_added_on_any_night() -> None:
    """Regression: on the first nights the costs of both sets were added up in one currency, and a set without a currency was called
    `several currencies`.
    """
    rows = two_sets()
    of_prices = rows["id"].str.startswith("p")
    for named, words in (
        (("USD", None), "Some sets of `acme/chat` state no currency, others do"),
        (("USD", "EUR"), "state several currencies"),
    ):
        stated = [named[of] for of in of_prices]
        rows["extra"] = [{**extra, "currency": each} if each else extra for extra, each in zip(two_sets()["extra"], stated, strict=True)]
        for night in (1, 19):
            (found,) = [each for each in morning_findings(rows, night) if each.metric == probe_claims.COST]
            assert found.severity == "unknown" and words in found.because, found.because


def test_a_cost_keeps_its_stated_currency_and_is_not_compared_with_a_budget_in_another() -> None:
    rows = VendorNights(20).rows()
    assert "(no currency stated)" in judged(rows, 19)[probe_claims.COST].because
    rows["extra"] = [{**extra, "currency": "USD"} for extra in rows["extra"]]
    found = judged(rows, 19, budgets={"acme/chat": (1.0, "EUR")})[probe_claims.COST]
    assert found.severity == "unknown" and found.limit is None and found.evidence["currency"] == "USD"
    assert " USD in " in found.because and "the budget of the model is in EUR, so it is not compared" in found.because
    assert judged(rows, 19, budgets={"acme/chat": (1.0, "USD")})[probe_claims.COST].severity == "act"
    rows.loc[rows.index[:60], "extra"] = [{**extra, "currency": "EUR"} for extra in rows["extra"].iloc[:60]]
    assert "(no currency stated)" in judged(rows, 19)[probe_claims.COST].because, "two different currencies leave the total without one"


def test_a_young_or_silent_probe_set_is_unknown_and_says_what_it_needs() -> None:
    rows = VendorNights(20).rows()
    young = judged(rows, 3)[probe_claims.CHANGED]
    assert young.severity == "unknown" and "about 2 more rounds needed" in young.because
    silent = judged(rows, 30)[probe_claims.CHANGED]
    assert silent.severity == "unknown" and "the last round was on 24 Jan 2026" in silent.because
    assert judged(rows, 80) == {}
    assert vendors.analyze({"answers": rows.iloc[:0], "events": no_events()}, morning(3)) == []


def test_after_a_bad_night_the_finding_is_called_recovered() -> None:
    rows = VendorNights(24, changed=15, from_night=20).rows()
    good = VendorNights(24).rows()
    rows = pd.concat([rows[rows["at"] < START + timedelta(days=21)], good[good["at"] >= START + timedelta(days=21)]], ignore_index=True)
    found = judged(rows, 22)[probe_claims.CHANGED]
    assert found.severity == "ok" and found.news == "recovered"


def test_rounds_without_a_name_are_grouped_by_day() -> None:
    (rounds,) = probe_rounds(VendorNights(3, items=4).rows())
    assert rounds.codes.shape == (3, 4) and rounds.times[1] == START + timedelta(days=1) and rounds.versions == ("2026-01",) * 3
    assert isinstance(rounds.times[0], datetime)


def encoded(rows: pd.DataFrame, encoder: str, nights: range, *, changed: int = 0, from_night: int = 10**9) -> pd.DataFrame:
    """The answers, in some nights with vectors that are similar to each other, as from many encoders; `changed` items have other vectors
    from a night on.
    """
    rng = np.random.default_rng(3)
    usual, others = (rng.normal(size=(60, 32)) + 2 for _ in range(2))
    extras = []
    for at, extra in zip(rows["at"], rows["extra"], strict=True):
        night, item = (at - START).days, int(extra["item"][1:])
        vector = (others if item < changed and night >= from_night else usual)[item] + 0.1 * rng.normal(size=32)
        extras.append({**extra, ENCODER: encoder, EMBEDDING: packed_vector(vector)} if night in nights else extra)
    return rows.assign(extra=pd.Series(extras, index=rows.index, dtype=object))


REWORDED = VendorNights(17, items=24, text=True, changed=9, from_night=15)
"""From night 15 on, nine answers use other words."""


def test_a_paraphrase_is_not_a_change_if_an_encoder_compares_the_answers() -> None:
    rows = REWORDED.rows()
    assert judged(rows, 15)[probe_claims.CHANGED].severity == "act" and judged(rows, 15)[probe_claims.CHANGED].evidence["encoder"] is None
    found = judged(encoded(rows, "tiny 1a2b", range(17)), 15)
    assert (found[probe_claims.CHANGED].severity, found[probe_claims.CHANGED].value) == ("ok", 0.0) and found[
        probe_claims.SIMILAR
    ].value > 0.9
    assert found[probe_claims.CHANGED].evidence["encoder"] == found[probe_claims.SIMILAR].evidence["encoder"] == "tiny 1a2b"
    other = judged(encoded(rows, "tiny 1a2b", range(17), changed=9, from_night=15), 15)[probe_claims.CHANGED]
    assert other.severity == "act" and other.value == pytest.approx(9 / 24), (
        "another meaning is a change, even if all vectors have much in common"
    )


def test_rounds_of_another_encoder_are_not_compared_and_the_finding_says_why() -> None:
    rows = encoded(encoded(REWORDED.rows(), "tiny 1a2b", range(16)), "large 9f", range(16, 17))
    (found,) = [each for each in morning_findings(rows, 16) if each.metric == probe_claims.CHANGED]
    assert found.severity == "unknown" and "16 earlier rounds used an encoder other than `large 9f`." in found.because
    assert "about 5 more rounds" in found.because
    without = judged(encoded(REWORDED.rows(), "tiny 1a2b", range(16)), 16)[probe_claims.CHANGED]
    assert without.evidence["encoder"] is None and without.severity == "act", (
        "if some texts have no vectors, all texts are compared by hashing"
    )


def test_a_packed_vector_keeps_its_direction() -> None:
    rng = np.random.default_rng(0)
    one, other = rng.normal(size=(2, 384))
    kept = [unpacked_vector(packed_vector(each)) for each in (one, other)]
    assert kept[0] @ kept[1] == pytest.approx(one @ other / np.linalg.norm(one) / np.linalg.norm(other), abs=0.01)
    assert (
        len(packed_vector(one)) == 512 and unpacked_vector("?") is unpacked_vector(None) is unpacked_vector(packed_vector(0 * one)) is None
    )
