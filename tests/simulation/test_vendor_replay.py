"""Each fault of a vendor is named at middle strength; without the fault nothing is raised."""

from dataclasses import replace

import pytest

from observability.analyzers.serving.vendors import findings_about_rounds
from observability.core.errors import UsageError
from observability.core.finding import needs_action
from observability.detection.probe_claims import CHANGED, RUBRIC, SIMILAR
from observability.detection.probe_rounds import probe_rounds
from observability.simulation.faults_vendors import FAULTS, VendorFaultPlant, vendor_rewords, vendor_scores_fall
from observability.simulation.vendor_replay import replay_vendor_fault
from tests.support.length import LONG, allowed, repeats, some
from tests.support.named_share import NamedShare
from tests.support.vendor_nights import VendorNights, asked_nights, first_nights, morning

NIGHTS = VendorNights(20, noise=0.01, seed=2)
DRAWS = repeats(2, 20)


@pytest.mark.parametrize("name", list(FAULTS) if LONG else list(FAULTS)[:1])
def test_a_fault_of_a_vendor_is_named_at_middle_strength(name: str) -> None:
    found = replay_vendor_fault(asked_nights(NIGHTS, FAULTS[name].metric).rows(), FAULTS[name], seed=1)
    assert found.first_named == 0, found.sentence
    assert FAULTS[name].metric in {each.metric for each in found.looks[0].alarms}
    assert not [each.because for look in found.looks for each in look.twin if needs_action(each.severity)]


@pytest.fixture(scope="module")
def vendors() -> list[VendorNights]:
    return [VendorNights(20, noise=0.02, seed=seed) for seed in range(10, 10 + DRAWS)]


@pytest.mark.parametrize("name", some(FAULTS, 1))
def test_a_fault_of_middle_strength_is_named_in_nine_of_ten_sets(vendors: list[VendorNights], named_share: NamedShare, name: str) -> None:
    named = 0
    for seed, nights in enumerate(vendors):
        found = replay_vendor_fault(asked_nights(nights, FAULTS[name].metric).rows(), FAULTS[name], seed=seed)
        named += (found.target, FAULTS[name].metric) in [(each.subject, each.metric) for each in found.looks[0].alarms[:3]]
    named_share(name, named, DRAWS)


def test_a_set_that_changed_already_is_replayed_before_its_change() -> None:
    rows = VendorNights(24, changed=12, from_night=19, seed=2).rows()
    assert replay_vendor_fault(rows, FAULTS["silent_answer_change"]).first_named == 0


def test_a_change_of_meaning_in_free_texts_of_middle_strength_is_named_in_nine_of_ten_sets(
    vendors: list[VendorNights], named_share: NamedShare
) -> None:
    """A fifth of the questions get the answer to a different question."""
    named = 0
    for seed, nights in enumerate(vendors):
        found = replay_vendor_fault(asked_nights(nights, SIMILAR).rows(), FAULTS["silent_answer_change"], seed=seed)
        named += (found.target, CHANGED) in [(each.subject, each.metric) for each in found.looks[0].alarms[:3]]
    named_share("silent_answer_change of free texts", named, DRAWS)


def test_reworded_answers_and_fallen_scores_change_by_the_stated_share() -> None:
    """Of twelve words, four are replaced (0.3 of 12 is 3.6). A score of 4 that falls by a fifth is 3.2."""
    rows = asked_nights(NIGHTS, SIMILAR).rows()
    plant = VendorFaultPlant(rows, {}, (), 0.3, words=("besides",))
    reworded = vendor_rewords(plant)["prediction"]
    kept = [
        sum(a == b for a, b in zip(old.split(), new.split(), strict=True)) for old, new in zip(rows["prediction"], reworded, strict=True)
    ]
    assert set(kept) == {8} and all(text.split().count("besides") == 4 for text in reworded)
    for extra in rows["extra"]:
        extra["rubric"] = {"helpful": 4.0}
    assert {extra["rubric"]["helpful"] for extra in vendor_scores_fall(replace(plant, rows=rows, amount=0.2))["extra"]} == {3.2}
    with pytest.raises(UsageError, match="vendor_scores_fall") as told:
        replay_vendor_fault(NIGHTS.rows(), FAULTS["vendor_scores_fall"])
    assert "with scores of a rubric" in str(told.value)


def test_nights_of_judge_rated_texts_without_a_fault_raise_nothing_critical() -> None:
    nights = repeats(8, 300)
    (rounds,) = probe_rounds(replace(asked_nights(NIGHTS, RUBRIC), nights=nights, items=24, seed=5).rows())
    found = [
        finding for night in range(nights) for finding in findings_about_rounds([(first_nights(rounds, night + 1), None)], morning(night))
    ]
    raised = [each for each in found if each.metric in (CHANGED, SIMILAR, RUBRIC) and needs_action(each.severity)]
    assert [each.because for each in found if each.severity == "act"] == []
    assert {SIMILAR, RUBRIC} <= {each.metric for each in found} and len(raised) <= allowed(0.01, nights), [each.because for each in raised]


def test_too_few_rounds_to_plant_a_vendor_fault_raise_an_error() -> None:
    with pytest.raises(UsageError, match="no vendor to plant vendor_fails on"):
        replay_vendor_fault(VendorNights(5).rows(), FAULTS["vendor_fails"])
