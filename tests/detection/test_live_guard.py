"""Model copying, far requests and boundary search are attributed to a subject; in clean windows (300 in a long run) no subject is named."""

from typing import Any

import numpy as np
import pytest

from observability.detection.live_guard import (
    PROTOTYPES,
    GuardClaim,
    InputSpace,
    expected_cells,
    far_features,
    far_requests,
    guard_claims,
    input_space,
)
from tests.support.length import repeats

REQUESTS = 800


def columns(rng: np.random.Generator, n: int) -> dict[str, np.ndarray]:
    """Requests in clusters, as in real traffic."""
    centre = rng.integers(0, 4, n)
    return {"a": centre + rng.normal(0, 0.2, n), "b": centre * 2 + rng.normal(0, 0.3, n), "town": rng.choice(["x", "y"], n, p=[0.8, 0.2])}


@pytest.fixture(scope="module")
def space() -> InputSpace:
    found = input_space(columns(np.random.default_rng(0), 3000), ("a", "b"), ("town",))
    assert found is not None
    return found


def claims(
    space: InputSpace,
    seed: int,
    planted: dict[str, Any] | None = None,
    dips: bool = False,
    senders: int = 8,
    moved: float = 0.0,
    others: int = 0,
) -> list[GuardClaim]:
    """senders: number of subjects; with one, `others` of the requests come from another subject each."""
    rng = np.random.default_rng(seed)
    given = columns(rng, REQUESTS)
    given["a"] += moved
    subjects = rng.choice([f"s{k}" for k in range(8)][-senders:], REQUESTS).astype(object)
    if senders == 1:
        subjects[:] = "s3"
        subjects[REQUESTS - others :] = [f"other {k}" for k in range(others)]
    margins, codes = rng.random(REQUESTS), np.arange(REQUESTS)
    if planted is not None:
        for name, values in planted.items():
            mine = np.flatnonzero(subjects == "s3")[: len(values)]
            given[name][mine] = values[: len(mine)]
    if dips:
        mine = np.flatnonzero(subjects == "s3")[:80]
        codes[mine] = 10_000 + np.arange(len(mine)) // 5
        margins[mine] = rng.uniform(0, 0.03, len(mine))
    ids = [f"p{k}" for k in range(REQUESTS)]
    points = space.encode(given)
    return guard_claims(space, points, far_requests(space, points), subjects, ids, margins, codes, rng.random(3000))


def test_a_subject_that_explores_the_whole_input_space_is_named(space: InputSpace) -> None:
    rng = np.random.default_rng(1)
    spread = {"a": rng.uniform(-0.5, 3.5, 80), "b": rng.uniform(-1, 7, 80)}
    named = sum(any(each.subject == "s3" for each in claims(space, seed, spread)) for seed in range(20))
    assert named >= 18


def test_a_subject_far_from_the_reference_is_named_with_its_requests(space: InputSpace) -> None:
    found = [each for each in claims(space, 2, {"a": np.full(80, 9.0)}) if each.check == "unfamiliar"]
    assert [each.subject for each in found] == ["s3"] and found[0].share.value is not None and found[0].share.value > 0.5
    assert found[0].ids and found[0].usual < 0.05


def test_a_subject_probing_the_decision_boundary_is_named(space: InputSpace) -> None:
    found = [each for each in claims(space, 3, dips=True) if each.check == "boundary"]
    assert [each.subject for each in found] == ["s3"]
    assert 0 < 3 * found[0].groups <= found[0].requests, "at least three requests per group"


def test_a_subject_that_sends_all_requests_is_compared_with_the_reference(space: InputSpace) -> None:
    """Regression: if there were no requests by others, no subject was named, whatever it sent."""
    rng = np.random.default_rng(4)
    spread = {"a": rng.uniform(-0.5, 3.5, 400), "b": rng.uniform(-1, 7, 400)}
    for seed in range(5):
        found = [each for each in claims(space, seed, spread, senders=1) if each.check == "extraction"]
        assert [(each.subject, each.alone, each.blocked) for each in found] == [("s3", True, ())]
        assert found[0].requests == REQUESTS and found[0].share.low is not None and found[0].share.low > found[0].usual
    found = claims(space, 3, dips=True, senders=1)
    assert [(each.check, each.subject, each.alone, each.blocked) for each in found] == [("boundary", "s3", True, ("s3",))]
    assert not any(each.alone for each in claims(space, 1, spread))


@pytest.mark.parametrize(("spread", "draws"), [(80, 0), (240, 10)])
def test_a_client_alone_is_named_from_three_tenths_of_evenly_spread_requests_on(space: InputSpace, spread: int, draws: int) -> None:
    rng = np.random.default_rng(4)
    even = {"a": rng.uniform(-0.5, 3.5, spread), "b": rng.uniform(-1, 7, spread)}
    assert sum(bool(claims(space, seed, even, senders=1)) for seed in range(10)) == draws


def drifted_claims(seed: int, features: int, drift: str) -> list[GuardClaim]:
    """The claims about one subject that sends 3,000 requests, whose numbers drifted: a wider spread, or another mix of a narrow and a wide
    segment.
    """
    rng, names = np.random.default_rng([seed, features]), [f"f{k}" for k in range(features)]

    def rows(sd: float = 1.0, main: float = 1.0) -> dict[str, np.ndarray]:
        spread = sd * np.where(rng.random(3000) < main, 1.0, 3.0)
        return {name: rng.normal(0, spread) for name in names}

    known_rows, now = (rows(main=0.85), rows(main=0.3)) if drift == "mix" else (rows(), rows(sd=float(drift)))
    space = input_space(known_rows, names, ())
    assert space is not None
    points, margins = space.encode(now), rng.random(3000)
    subjects, ids = np.full(3000, "shop", object), [f"p{k}" for k in range(3000)]
    return guard_claims(space, points, far_requests(space, points), subjects, ids, margins, np.arange(3000), rng.random(3000))


@pytest.mark.parametrize("features", [2, 4, 10])
@pytest.mark.parametrize("drift", ["1.5", "2", "mix"])
def test_drift_of_a_client_that_sends_everything_puts_nobody_on_the_block_list(features: int, drift: str) -> None:
    """Regression: the client was called a copier and was to be blocked, in each of five seeds with 4 features."""
    for seed in range(repeats(2, 20)):
        found = drifted_claims(seed, features, drift)
        assert all(each.check == "extraction" and each.alone and each.blocked == () for each in found), found


@pytest.mark.parametrize("others", [50, 80, 99])
def test_between_50_and_99_requests_of_others_are_enough_to_compare_far_requests_and_margins(space: InputSpace, others: int) -> None:
    """Regression: all checks against others were left out below 100 of their requests."""
    far = {"a": np.full(300, 9.0)}
    (found,) = [each for each in claims(space, 2, far, senders=1, others=others) if each.check == "unfamiliar"]
    assert (found.subject, found.alone, found.blocked) == ("s3", False, ("s3",))
    assert [each for each in claims(space, 2, far, senders=1, others=49) if each.check == "unfamiliar"] == []
    (found,) = claims(space, 3, dips=True, senders=1, others=others)
    assert (found.check, found.alone, found.blocked) == ("boundary", False, ("s3",))


def test_clean_and_drifted_windows_of_one_sender_name_nobody(space: InputSpace) -> None:
    runs = range(repeats(20, 300))
    assert [each for seed in runs for moved in (0.0, 0.3, 1.0) for each in claims(space, 100 + seed, senders=1, moved=moved)] == []


def test_clean_windows_name_no_subject(space: InputSpace) -> None:
    assert [each for seed in range(repeats(40, 300)) for each in claims(space, 100 + seed)] == []


def test_distances_within_the_reference_give_the_null_distribution(space: InputSpace) -> None:
    fresh = far_requests(space, space.encode(columns(np.random.default_rng(7), 4000)))
    assert 0.004 < fresh.mean() < 0.02


def test_the_distance_of_far_requests_is_shared_among_features(space: InputSpace) -> None:
    asked = columns(np.random.default_rng(5), 300)
    assert far_features(space, space.encode(columns(np.random.default_rng(6), 1))) == []
    number = space.numbers[0]
    asked[number] = np.asarray(asked[number], float) + np.where(np.arange(300) < 40, 40.0, 0.0)
    shares = far_features(space, space.encode(asked))
    assert shares[0][0] == number and shares[0][1] > 0.8 and sum(share for _, share in shares) == pytest.approx(1)
    assert {name for name, _ in shares} == {*space.numbers, *space.categories}


def test_the_expected_number_of_cells_is_that_of_sampling_without_replacement() -> None:
    counts, rng = np.array([50, 30, 10, 5, 3, 1, 1]), np.random.default_rng(5)
    every = np.repeat(np.arange(len(counts)), counts)
    drawn = [len(np.unique(rng.choice(every, 20, replace=False))) for _ in range(4000)]
    expected, variance = expected_cells(counts, 20)
    assert expected == pytest.approx(np.mean(drawn), abs=0.06) and variance >= np.var(drawn) * 0.95
    assert expected_cells(np.full(PROTOTYPES, 10), PROTOTYPES * 10)[0] == PROTOTYPES


def test_too_few_reference_rows_give_no_input_space() -> None:
    assert input_space(columns(np.random.default_rng(1), 50), ("a",), ()) is None
