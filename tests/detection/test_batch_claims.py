"""The energy of batches and forms. A rise since the previous audit is reported if it exceeds both intervals, a saving is reported with its
interval, and expiry is reported.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from observability.detection.batch_claims import MORE, batch_claims
from observability.detection.run_claims import RunClaim
from observability.metrics.serving_power import BatchEnergy, EnergyAudit
from observability.monitoring.check import check
from tests.support.new_store import new_store
from tests.support.proving import differing

NOW = datetime(2026, 3, 9, tzinfo=UTC)
LEVEL = "operations/energy/batch_saving"


def size(batch: int, cost: float, form: str = "as served", error: float = 0.05) -> BatchEnergy:
    """A batch size whose processor time is known within an error; the energy follows from an assumed power of 4 W with its range."""
    cpu = (cost, cost * (1 - error), cost * (1 + error))
    return BatchEnergy(form, "fp64", batch, 1000, 6, cpu, (4 * cpu[0], 2 * cpu[1], 10 * cpu[2]), "assumed")


def audit(days: float, *batches: BatchEnergy, hardware: str = "a", power: str = "4 W") -> EnergyAudit:
    return EnergyAudit("loan", "2", NOW - timedelta(days=days), batches, power, hardware, NOW + timedelta(days=30 - days))


def claims(*audits: EnergyAudit, form: str = "as served", level: float | None = None) -> dict[tuple[str | None, str], RunClaim]:
    limits = {} if level is None else {LEVEL: level}
    return {(each.subject, each.metric): each for each in batch_claims(audits, "2", form, limits, NOW)}


def test_more_energy_than_in_the_audit_before_is_a_warning_with_its_interval() -> None:
    before = audit(9, size(1, 0.08), size(100, 0.01))
    rose = claims(before, audit(1, size(1, 0.08), size(100, 0.02)))["form=as served", "batch_energy"]
    assert (rose.severity, rose.n, rose.value) == ("watch", 1000, pytest.approx(0.08))
    ends = f"({0.95 * 2 / 1.05:.3g} to {1.05 * 2 / 0.95:.3g} times)"
    assert "In batches of 100 a thousand predictions of form `as served` take 0.08 J" in rose.because
    assert f"2 times the 0.04 J of 28 Feb 2026 {ends}" in rose.because, rose.because
    assert rose.evidence["baseline"] == pytest.approx(0.04) and rose.evidence["place"] == 1
    little = claims(before, audit(1, size(1, 0.08), size(100, 0.01 * 0.99 * MORE)))["form=as served", "batch_energy"]
    assert little.severity == "ok", "a rise that is certain but too small to report"
    unsure = claims(before, audit(1, size(100, 0.02, error=0.6)))["form=as served", "batch_energy"]
    assert unsure.severity == "ok", "the interval includes the value of the previous audit"


@pytest.mark.parametrize("other", [{"hardware": "b"}, {"power": "5 W"}])
def test_audits_of_other_machines_or_another_power_are_not_compared(other: dict[str, str]) -> None:
    found = claims(audit(9, size(1, 0.01), **other), audit(1, size(1, 0.08)))
    assert found == {}, found
    assert claims(audit(9, size(1, 0.01, "int8")), audit(1, size(1, 0.08))) == {}, "another form is not compared either"


def test_savings_of_batches_and_forms_are_judged_only_by_the_owners_level() -> None:
    newest = audit(1, size(1, 0.08), size(100, 0.02), size(1, 0.06, "int8"), size(100, 0.001, "int8"))
    batches, int8 = (claims(newest)[f"form={form}", "batch_saving"] for form in ("as served", "int8"))
    assert (batches.value, int8.value) == (pytest.approx(0.75), pytest.approx(0.25)), "forms are compared at the same batch size"
    assert batches.low == pytest.approx(1 - 0.25 * 1.05 / 0.95) and batches.high == pytest.approx(1 - 0.25 * 0.95 / 1.05)
    assert batches.severity == int8.severity == "unknown" and f"no level set: set `{LEVEL}`" in batches.because
    assert "75 % less than one at a time (72.4 % to 77.4 % saved)" in batches.because, batches.because
    assert "25 % less than form `as served`" in int8.because, int8.because
    assert [claims(newest, level=level)["form=as served", "batch_saving"].severity for level in (0.7, 0.74)] == ["watch", "ok"]
    served = claims(newest, form="int8")
    assert set(served) == {("form=int8", "batch_saving"), ("form=as served", "batch_saving")}
    assert served["form=as served", "batch_saving"].value == pytest.approx(1 - 0.08 / 0.06), "the other form takes more"


def test_metered_joules_are_compared_without_the_processor_time() -> None:
    metered = [replace(size(1, 0.08), joules=(joules, 0.9 * joules, 1.1 * joules), source="measured") for joules in (0.3, 0.6)]
    found = claims(audit(9, metered[0]), audit(1, metered[1]))["form=as served", "batch_energy"]
    assert found.severity == "watch" and found.evidence["times_the_past"] == pytest.approx(2), (
        "the joules are compared, although the processor time is the same"
    )


def test_a_sufficient_rise_is_reported_before_a_smaller_but_surer_one() -> None:
    now = [replace(size(batch, 1.0), cpu_seconds=ends) for batch, ends in ((1, (1.44, 1.41, 1.47)), (100, (2.0, 1.38, 2.68)))]
    before = [size(1, 1.0, error=0.0), size(100, 1.0, error=0.0)]
    found = claims(audit(9, *before), audit(1, *now))["form=as served", "batch_energy"]
    assert found.severity == "watch" and found.evidence["times_the_past"] == pytest.approx(2), found.because
    unsure = replace(size(1, 1.0), cpu_seconds=(3.0, 0.9, 5.0))
    found = claims(audit(9, *before), audit(1, unsure, now[1]))["form=as served", "batch_energy"]
    assert found.severity == "watch" and found.evidence["times_the_past"] == pytest.approx(2), (
        "a rise that is certain is reported before a larger one that may be none"
    )


def metered(joules: float, batch: int = 1, cost: float = 0.08, form: str = "as served") -> BatchEnergy:
    """A batch size whose joules a meter measured."""
    return replace(size(batch, cost, form), joules=(joules, 0.9 * joules, 1.1 * joules), source="measured")


def test_joules_of_a_meter_are_not_compared_with_processor_time() -> None:
    newest = audit(1, metered(0.6), size(1, 0.02, "int8"), metered(0.3, form="fp32"))
    assert claims(newest)["form=fp32", "batch_saving"].value == pytest.approx(0.5), "compared with the cheapest of the metered forms"
    assert claims(audit(9, size(1, 0.08)), audit(1, metered(0.6))) == {}
    found = claims(audit(9, metered(0.2)), audit(5, size(1, 0.08)), audit(1, metered(0.6)))["form=as served", "batch_energy"]
    assert found.evidence["times_the_past"] == pytest.approx(3), "compared with the last audit that measured the energy in the same way"


def test_audits_too_noisy_to_compare_are_told() -> None:
    noisy = replace(size(100, 0.02), cpu_seconds=(0.02, 0.0, 0.05))
    found = claims(audit(9, size(100, 0.01)), audit(1, size(1, 0.08), noisy), level=0.1)
    assert set(found) == {("form=as served", "batch_energy"), ("form=as served", "batch_saving")}
    for each in found.values():
        assert (each.severity, each.value, each.n) == ("unknown", None, 1000)
        assert "too noisy to compare" in each.because and "run `energy measure` again" in each.because
    partly = claims(audit(9, size(1, 0.08), size(100, 0.01)), audit(1, size(1, 0.08), noisy))["form=as served", "batch_energy"]
    assert partly.severity == "ok" and partly.because.endswith(" Too noisy to compare: batches of 100.")


def test_an_expired_energy_audit_is_reported_only_with_findings_that_need_action() -> None:
    old = replace(audit(40, size(1, 0.08), size(100, 0.02)), expires=NOW - timedelta(days=10))
    (found,) = claims(old).values()
    assert (found.metric, found.severity, found.value) == ("audit_days_left", "watch", pytest.approx(-10.0))
    assert "The energy audit of version 2 expired on 27 Feb 2026: run it again." in found.because
    assert set(claims(old, level=0.5)) == {("energy", "audit_days_left"), ("form=as served", "batch_saving")}
    assert claims(replace(audit(1, size(1, 0.1), size(100, 0.01)), version="1")) == {}, "an audit of another version is not judged"


def test_batch_figures_are_proved_from_the_records_and_follow_the_chosen_form(tmp_path: Path) -> None:
    def body(of: EnergyAudit) -> dict[str, object]:
        named = [
            {"form": each.form, "precision": "", "batch": each.batch, "rows": each.rows, "repeats": 6, "source": each.source}
            | {name: dict(zip(("value", "low", "high"), getattr(each, name), strict=True)) for name in ("cpu_seconds", "joules")}
            for each in of.batches
        ]
        results = {"batches": named, "power": of.power, "hardware": {"processor": of.hardware}}
        about = {"kind": "audit", "model": "loan", "version": "2", "audit": "energy", "at": of.at, "results": results}
        return about | {"expires": of.expires}

    served = {"kind": "prediction", "model": "loan", "version": "2", "features": {"a": 1.0}, "score": 0.5}
    with new_store(tmp_path / "home", threads=1) as store:
        store.write_records([{**served, "id": f"p{place}", "at": NOW - timedelta(hours=place + 1)} for place in range(5)])
        audits = [audit(40, size(1, 0.08), size(100, 0.01)), audit(35, size(1, 0.08), size(100, 0.02), size(1, 0.02, "int8"))]
        store.write_records([body(each) for each in audits])

        def found(metered: bool = False) -> dict[tuple[str, str], object]:
            span = {"start": NOW - timedelta(days=7), "end": NOW, "now": NOW}
            kept = check(store, model="loan", version="2", **span, only=("operations/energy",)).findings
            own = [each for each in kept if each.metric in ("batch_energy", "batch_saving", "audit_days_left")]
            proven = {each.metric for each in own if each.proof}
            assert proven == {each.metric for each in own if each.metric != "batch_energy" or metered} and differing(store, own) == []
            return {(each.subject, each.metric): each.severity for each in own}

        assert found() == {("form=as served", "batch_energy"): "watch", ("energy", "audit_days_left"): "watch"}
        chosen = {"kind": "decision", "decision": "d", "author": "ann", "statement": "int8 is served", "form": "int8"}
        store.write_records([{**chosen, "model": "loan", "version": "2", "at": NOW - timedelta(days=1)}])
        assert found() == {("energy", "audit_days_left"): "watch"}
        metered = [replace(each, source="measured") for each in audits[1].batches]
        store.write_records([body(audit(days, *metered)) for days in (3, 2)])
        assert found(metered=True) == {("form=int8", "batch_energy"): "ok", ("form=as served", "batch_saving"): "unknown"}
