"""If a vendor's model answers with numbers, they are compared as numbers: a stated tolerance or one from their own spread, shifts of all
answers, quiet nights.
"""

from contextlib import closing
from datetime import UTC, timedelta
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from observability.core.errors import UsageError
from observability.core.finding import Finding
from observability.detection.answer_changes import EQUAL, SPREADS, answer_changes
from observability.detection.probe_claims import CHANGED, ERROR, FLIPS, RIGHT, SHIFT
from observability.detection.probe_rounds import probe_rounds
from observability.monitoring import check
from observability.probing.ask import answer_number, ask_set
from observability.probing.probe_file import parse_probe_set
from observability.simulation.faults_vendors import FAULTS
from observability.simulation.vendor_replay import replay_vendor_fault
from tests.support.fake_vendor import serving_vendor
from tests.support.length import allowed, repeats, some
from tests.support.new_store import new_store
from tests.support.proving import differing, without_reason
from tests.support.vendor_nights import START, VendorNights, morning_findings


def judged(nights: VendorNights, night: int) -> dict[str, Finding]:
    return {each.metric: each for each in morning_findings(nights.rows(), night)}


def test_twelve_of_sixty_prices_that_change_are_named_and_noise_is_not() -> None:
    nights = VendorNights(12, numbers=0.01, changed=12, from_night=11, times=1.2)
    quiet, found = judged(nights, 10), judged(nights, 11)
    assert [each for each in quiet.values() if each.needs_action] == [], "compared as texts, prices with noise would all differ"
    change = found[CHANGED]
    assert change.severity == "act" and change.news == "new" and 12 <= change.value * 60 <= 13
    assert "differ from the baseline by more than their usual spread in the newest round" in change.because
    assert found[FLIPS].severity == "watch" and RIGHT not in found
    (rounds,) = probe_rounds(nights.rows())
    changes = answer_changes(rounds, 11)
    assert changes is not None and changes.tolerances is not None
    base = rounds.values[list(changes.baseline)]
    middle = np.sort(base, axis=0)[(len(base) - 1) // 2]
    share = np.median(base.std(axis=0, ddof=1) / middle)
    assert changes.tolerances == pytest.approx(SPREADS * np.maximum(base.std(axis=0, ddof=1), share * middle) + EQUAL * middle)
    beyond = np.abs(rounds.values[11] - middle) > changes.tolerances
    assert change.value == pytest.approx(beyond.mean())


def test_a_stated_tolerance_is_used_and_exact_numbers_have_none() -> None:
    moved = VendorNights(12, numbers=0.0, from_night=11, times=1.01)
    exact = judged(moved, 11)
    assert exact[CHANGED].severity == "act" and exact[CHANGED].value == 1.0 and exact[SHIFT].severity == "act"
    wide = judged(VendorNights(12, numbers=0.0, from_night=11, times=1.01, tolerance=10.0), 11)
    assert wide[CHANGED].severity == "ok" and wide[CHANGED].value == 0.0 and wide[SHIFT].severity == "ok"
    narrow = judged(VendorNights(12, numbers=0.0, from_night=11, times=1.01, tolerance=2.0), 11)
    prices = np.array([float(f"{price:.6g}") for price in np.linspace(5.0, 400.0, 60)])
    now = np.array([float(f"{price * 1.01:.6g}") for price in np.linspace(5.0, 400.0, 60)])
    assert narrow[CHANGED].value == pytest.approx((now - prices > 2.0).mean()) and "by more than 2 " in narrow[CHANGED].because


def test_a_common_shift_within_each_tolerance_is_found_from_the_paired_interval() -> None:
    nights = VendorNights(14, numbers=0.01, from_night=12, times=1.03)
    found = judged(nights, 13)
    shift = found[SHIFT]
    assert shift.severity == "act" and shift.onset is not None and shift.onset.date() == (START + timedelta(days=12)).date()
    assert "since 17 Jan 2026" in shift.because and "a silent change" in shift.because
    (rounds,) = probe_rounds(nights.rows())
    changes = answer_changes(rounds, 13)
    assert changes is not None and changes.gaps is not None
    low, high = stats.ttest_1samp(changes.gaps[13], 0).confidence_interval(0.95)
    assert (shift.value, shift.low, shift.high) == pytest.approx((changes.gaps[13].mean(), low, high))


def test_errors_against_expected_numbers_are_judged_against_the_baseline_and_the_last_round() -> None:
    nights = VendorNights(14, numbers=0.01, from_night=13, times=1.03, right=True)
    quiet, worse = judged(nights, 12)[ERROR], judged(nights, 13)[ERROR]
    assert quiet.severity == "ok" and quiet.low < quiet.value < quiet.high
    assert (worse.severity, worse.news, worse.n) == ("act", "new", 60) and RIGHT not in judged(nights, 13)
    answers = nights.rows().assign(error=lambda own: abs(own["prediction"].astype(float) - [float(f["expected"]) for f in own["extra"]]))
    table = answers.assign(night=answers["at"].dt.day).pivot(index="night", columns="id", values="error")
    errors = np.array([line[np.isfinite(line)] for line in table.to_numpy()])
    (rounds,) = probe_rounds(nights.rows())
    changes = answer_changes(rounds, 13)
    assert changes is not None
    usual = errors[list(changes.baseline)].mean(axis=0)
    assert (worse.value, worse.evidence["baseline"]) == pytest.approx((errors[13].mean(), usual.mean()))
    for name, others in (("difference", usual), ("since_last", errors[12])):
        found = stats.ttest_rel(errors[13], others)
        assert worse.evidence[name] == pytest.approx([(errors[13] - others).mean(), *found.confidence_interval(0.95)]), name
    assert "from the right numbers in the newest round" in worse.because and worse.onset.date() == (START + timedelta(days=13)).date()
    longer = judged(VendorNights(17, numbers=0.01, from_night=13, times=1.03, right=True), 16)[ERROR]
    assert longer.severity == "act" and longer.onset == worse.onset, "the onset is the first night of the errors"
    assert judged(VendorNights(14, numbers=0.01, right=False), 13).keys() == judged(nights, 13).keys() - {ERROR}


def test_a_shift_towards_the_expected_numbers_is_not_a_worse_error() -> None:
    rows = VendorNights(14, numbers=0.01, from_night=12, times=1.03).rows()
    rows["extra"] = [{**extra, "expected": f"{np.linspace(5.0, 400.0, 60)[int(extra['item'][1:])] * 1.03:.6g}"} for extra in rows["extra"]]
    found = {each.metric: each for each in morning_findings(rows, 13)}
    assert found[SHIFT].severity == "act" and found[ERROR].severity == "ok" and found[ERROR].evidence["difference"][2] < 0


@pytest.mark.long  # tests/analyzers/serving/test_vendors.py::test_nights_without_a_change_rarely_raise_a_finding
def test_price_nights_without_a_change_rarely_raise_a_finding() -> None:
    raised = []
    for seed in range(repeats(2, 10)):
        rows = VendorNights(37, numbers=0.02, seed=seed, right=True).rows()
        raised += [each for night in range(7, 37) for each in morning_findings(rows, night) if each.needs_action]
    assert len(raised) <= allowed(repeats(2, 10) * 30, 0.01), [each.because for each in raised]


@pytest.mark.parametrize("name", some(["vendor_numbers_shift", "silent_answer_change"], 1))
def test_a_number_fault_of_middle_strength_is_found(name: str) -> None:
    named, runs = 0, repeats(4, 30)
    for seed in range(runs):
        found = replay_vendor_fault(VendorNights(12, numbers=0.02, seed=seed).rows(), FAULTS[name], "middle", seed)
        named += any(each.metric == FAULTS[name].metric for look in found.looks for each in look.alarms)
    assert named >= 0.9 * runs


def test_numbers_are_read_from_the_response_and_texts_stay_texts() -> None:
    assert [answer_number(text) for text in ("12.5", " -1e3 ", "12 EUR", "nan", "1_0", "")] == [12.5, -1000.0, None, None, None, None]

    def stated(**own: object) -> dict[str, object]:
        probe = {"model": "acme/price", "url": "http://127.0.0.1:1/", "body": {"messages": [{"content": "{question}"}]}}
        return {"probe": probe | {"read": {"answer": "/price"}} | own, "item": [{"item": "a", "question": "chair"}]}

    def answered(body: bytes, **own: object) -> dict[str, object]:
        with serving_vendor(lambda _: (200, {"Content-Type": "application/json"}, body)) as vendor:
            (record,) = ask_set(parse_probe_set(stated(url=vendor.url, **own), "price.toml"), {}).records
        return record

    number = answered(b'{"price": 12.50}')
    assert (number["answers"], number["prediction"]) == ("number", "12.5") and "tolerance" not in number
    assert answered(b'{"price": "12.50"}')["answers"] == "text"
    told = answered(b'{"price": "12.50"}', tolerance=0.5)
    assert (told["answers"], told["tolerance"], told["well_formed"]) == ("number", 0.5, True)
    assert answered(b'{"price": "soon"}', numbers=True)["well_formed"] is False
    assert answered(b'{"price": 3}', answers=["3", "4"])["answers"] == "class"
    for wrong in ({"tolerance": -1}, {"numbers": "yes"}, {"tolerance": 1, "answers": ["a"]}, {"numbers": False, "tolerance": 1}):
        with pytest.raises(UsageError):
            parse_probe_set(stated(**wrong), "price.toml")


@pytest.mark.parametrize("tolerance", [None, 20.0])
def test_number_findings_are_proved_from_the_rows(tolerance: float | None, tmp_path: Path) -> None:
    rows = VendorNights(9, items=24, numbers=0.01, changed=18, from_night=8, times=1.4, tolerance=tolerance, right=True).rows()
    lines = []
    for row in rows.to_dict("records"):
        at = row["at"].tz_localize(UTC).to_pydatetime()
        body = {name: row[name] for name in ("id", "model", "version", "status", "prediction", "latency_ms", "features")}
        lines.append(
            {"kind": "prediction", "environment": "probe", "at": at, "received_at": at, **body, **row["extra"], "round": f"{at:%F}"}
        )
    with closing(new_store(tmp_path / "home", threads=1)) as store:
        store.write_records(lines)
        end = (START + timedelta(days=9)).replace(tzinfo=UTC)
        found = check.check(store, start=end - timedelta(days=7), end=end, now=end, only=("serving/vendors",)).findings
        assert differing(store, found) == [] and without_reason(found) == []
        assert {each.metric for each in found if each.proof} >= {CHANGED, ERROR, SHIFT}
        assert next(each for each in found if each.metric == CHANGED).severity == "act"
