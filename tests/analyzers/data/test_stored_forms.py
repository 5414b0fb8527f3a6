"""The form in which a dataset is stored is judged by changed decisions (overall and by slice), lost values and saved bytes."""

from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from observability.core.finding import Finding, needs_action
from tests.support.length import repeats
from tests.support.storage_reports import storage_findings
from tests.support.stored_forms import AT, media_audit, storage_audit, stored_form

RNG = np.random.default_rng
UNDECIDED = "stored_form_undecided"
METRICS = {"stored_flip_rate", "stored_slice_gap", "stored_values_lost", "stored_bytes_saved"}


def judged(form: dict[str, Any], **fields: Any) -> dict[str, Finding]:
    """The findings by metric if the given form is in use."""
    found = storage_findings([], datasets=[storage_audit({"float16": form}, "float16", **fields)])
    assert len({each.metric for each in found}) == len(found)
    return {each.metric: each for each in found}


def with_answers(**answers: Any) -> dict[str, Any]:
    """A stored form with some figures about its model's answers changed."""
    form = stored_form(RNG(1))
    return {**form, "model": {**form["model"], **answers}}


def test_a_form_that_changes_little_is_ok_in_every_respect() -> None:
    found = judged(stored_form(RNG(1)))
    assert set(found) == METRICS and {each.severity for each in found.values()} == {"ok"}
    assert all(isinstance(each.n, int) and each.unit for each in found.values())
    flips = found["stored_flip_rate"]
    assert (flips.subject, flips.model, flips.version, flips.n) == ("dataset:people", "loan", "3", 4000)
    assert "Scores change by at most 0.03." in flips.because
    saved = found["stored_bytes_saved"]
    assert saved.value == pytest.approx(0.25)
    assert (
        saved.because == "`people` as `float16` takes 25 % fewer bytes than the smallest exact form (zstd) and 0.5 times its reading time."
    )


def test_changed_decisions_are_critical_beyond_the_limit_and_a_warning_if_the_interval_includes_it() -> None:
    assert judged(with_answers(flips=90, slices=[]))["stored_flip_rate"].severity == "act"
    watch = judged(with_answers(flips=45, slices=[]))["stored_flip_rate"]
    assert watch.severity == "watch" and watch.value == 45 / 4000 and watch.low < 0.01 < watch.value < watch.high
    assert watch.because.startswith("Storing `people` as `float16` changes 1.12 % of decisions (45 of 4,000 rows; ")
    assert watch.evidence["next"].startswith("Store the data exactly")


def test_few_rows_or_no_model_make_changed_decisions_unknown() -> None:
    few = judged(with_answers(rows=100, flips=0, slices=[]))["stored_flip_rate"]
    assert few.severity == "unknown" and few.value is None and "about 700 more rows are needed" in few.because
    form = stored_form(RNG(1))
    del form["model"]
    found = judged(form)
    assert found["stored_flip_rate"].severity == "unknown" and "run the audit with `--model`" in found["stored_flip_rate"].because
    assert found["stored_flip_rate"].model is None and found["stored_bytes_saved"].severity == "ok"


def test_a_group_that_a_form_hurts_is_named_although_the_whole_is_within_its_limit() -> None:
    levels = [("AA", 3900, 4), ("HA", 100, 12)]
    slices = [{"column": "carrier", "level": level, "n": n, "flips": flips} for level, n, flips in levels]
    found = judged(with_answers(flips=16, slices=slices))
    gap = found["stored_slice_gap"]
    assert found["stored_flip_rate"].severity == "ok"
    assert (gap.severity, gap.slice, gap.n, gap.evidence["slice_place"]) == ("act", "carrier=HA", 100, 1)
    assert gap.value == pytest.approx(0.12 - 4 / 3900)


def test_lost_values_are_critical_and_a_form_that_saves_nothing_is_a_warning() -> None:
    lost = judged(stored_form(RNG(1), lost={"income": 1, "age": 2}))["stored_values_lost"]
    assert (lost.severity, lost.value, lost.limit) == ("act", 3.0, 0.0) and "loses 3 values in 4,000 rows" in lost.because
    dear = judged(stored_form(RNG(1), bytes=410))["stored_bytes_saved"]
    assert dear.severity == "watch" and dear.value == pytest.approx(-0.025) and "2.5 % more bytes" in dear.because


def test_data_stored_exactly_is_ok_whatever_the_compared_forms_lose() -> None:
    forms = {"float16": stored_form(RNG(1)), "3 digits": stored_form(RNG(2), 0.2, lost={"age": 4}, bytes=900)}
    (found,) = storage_findings([], datasets=[storage_audit(forms)])
    assert (found.severity, found.value, found.model) == ("ok", 0.0, "loan")
    assert found.because == "`people` is stored exactly; 1 of 2 lossy forms change at most 1 % of decisions."
    assert storage_findings([], datasets=[storage_audit({"float16": {"bytes": 300, "errors": {}, "lost": {}}})]) == []


def test_the_newest_audit_counts_and_a_form_that_it_lacks_is_unknown() -> None:
    bad = storage_audit({"float16": with_answers(flips=900)}, "float16")
    good = storage_audit({"float16": stored_form(RNG(1))}, "float16", at=AT + timedelta(days=1), version="2")
    assert {each.severity for each in storage_findings([], datasets=[good, bad])} == {"ok"}
    (found,) = storage_findings([], datasets=[bad, storage_audit({}, "float8", at=AT + timedelta(days=2))])
    assert found.severity == "unknown" and "which its newest audit did not measure" in found.because


@pytest.mark.parametrize(
    ("decided", "in_use", "severity", "said"),
    [
        ("float16", "float16", "ok", "`people` is stored as `float16`, as decided on 2 Mar 2026."),
        ("exact", None, "ok", "`people` is stored exactly, as decided on 2 Mar 2026."),
        ("exact", "float16", "watch", "`people` is stored as `float16`; the decision of 2 Mar 2026 was `exact`."),
        ("float16", None, "watch", "`people` is stored exactly; the decision of 2 Mar 2026 was `float16`."),
    ],
)
def test_an_audit_after_a_decision_tells_whether_the_decided_form_is_in_use(
    decided: str, in_use: str | None, severity: str, said: str
) -> None:
    made = {"decision": "d", "at": AT - timedelta(days=2), "author": "Ana", "extra": {"form": decided, "dataset": "people"}}
    audit = storage_audit({"float16": stored_form(RNG(1))}, in_use)
    (found,) = [each for each in storage_findings([], datasets=[audit], decisions=[made]) if each.metric == UNDECIDED]
    assert (found.severity, found.because, found.value) == (severity, said, float(severity == "watch"))
    assert found.evidence["decision"] == "d" and found.evidence["next"].startswith("Store the data in the decided form")
    for changed in ({"at": AT + timedelta(hours=1)}, {"state": "withdrawn"}, {"extra": {"form": decided, "dataset": "other"}}):
        told = storage_findings([], datasets=[audit], decisions=[made | changed])
        assert UNDECIDED not in {each.metric for each in told}, (
            "an older audit, a withdrawn decision and a decision about another dataset do not count"
        )


@pytest.mark.parametrize(
    ("cats", "severity"), [(36.0, "ok"), (34.8, "watch"), (34.0, "act")], ids=["above", "interval holds the least", "surely below"]
)
def test_image_quality_is_judged_by_the_worst_group_if_a_minimum_is_stated(cats: float, severity: str) -> None:
    told = storage_findings([], datasets=[media_audit(1, "JPEG 75", {"psnr": 35.0}, cats=cats, dogs=39.0)])
    found = {each.metric: each for each in told}
    assert set(found) == {"stored_psnr", "stored_bytes_saved"} and found["stored_bytes_saved"].value == pytest.approx(1 - 900 / 4000)
    psnr = found["stored_psnr"]
    assert (psnr.severity, psnr.value, psnr.limit, psnr.evidence["fidelity_place"]) == (severity, cats, 35.0, 1)
    assert psnr.slice == (None if severity == "ok" else "folder=cats")
    assert f"is {cats:g} dB in folder `cats`, the lowest (20 files; " in psnr.because and "the stated minimum is 35 dB." in psnr.because


def test_image_loss_is_shown_but_not_judged_without_a_minimum_or_with_few_files() -> None:
    assert {each.metric for each in storage_findings([], datasets=[media_audit(1, "JPEG 75", cats=10.0)])} == {"stored_bytes_saved"}
    assert storage_findings([], datasets=[media_audit(1, None, {"psnr": 35.0}, cats=10.0)]) == [], "lossless files lose nothing"
    few = media_audit(1, "JPEG 75", {"ssim": 0.99})
    assert {each.metric: each.severity for each in storage_findings([], datasets=[few])}["stored_ssim"] == "act"
    few["extra"]["storage"]["forms"]["JPEG 75"]["fidelity"][0]["n"] = 4
    (found,) = [each for each in storage_findings([], datasets=[few]) if each.metric == "stored_ssim"]
    assert found.severity == "unknown" and "needs about 6 more files" in found.because


@pytest.mark.parametrize("extra", [None, {}, {"storage": 3}, {"storage": {"codecs": {"none": {"bytes": 0}}}}, {"storage": {"codecs": 1}}])
def test_records_without_an_audit_give_nothing(extra: Any) -> None:
    assert storage_findings([], datasets=[storage_audit({}) | {"extra": extra}]) == []


def test_300_clean_audits_raise_no_critical_finding_and_few_warnings() -> None:
    audits, raised = repeats(8, 300), []
    for seed in range(audits):
        form = stored_form(RNG([seed, 3]), 0.005)
        raised += [each for each in judged(form).values() if needs_action(each.severity)]
    assert [each.because for each in raised if each.severity == "act"] == []
    assert len(raised) <= max(0.03 * audits, 1), [each.because for each in raised]
