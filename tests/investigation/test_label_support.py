"""The answers of raters and annotators about a label are shown, and decide whether it is suspect."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm

from observability.investigation import label_support
from observability.investigation.case import open_case
from observability.store.db.database import Database
from observability.store.types.loading import LoadDefaults
from observability.store.types.registration import RegistrationRequest
from tests.support.new_store import new_store

START = datetime(2026, 3, 2, tzinfo=UTC)
CLASSES = ("bad", "fair", "good")
SUPPORTED = {"raters": 20, "rating_mean": 0.1, "rating_spread": 0.6}
SPLIT = {"raters": 20, "rating_mean": 0.47, "rating_spread": 0.9}


@pytest.fixture(scope="module")
def ratings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """Texts with classes by their mean rating (boundaries at ±0.5) and certain scores; the model contradicts the label of three of them."""
    folder, rng = tmp_path_factory.mktemp("ratings"), np.random.default_rng(4)
    mean = rng.normal(0, 1, 600).round(2)
    mean = mean[(np.abs(np.abs(mean) - 0.5) > 0.02)]
    place = 1 + (mean >= 0.5).astype(int) - (mean <= -0.5).astype(int)
    shares = np.full((len(mean), 3), 0.05)
    shares[np.arange(len(mean)), place] = 0.9
    lines = ["x,bad,fair,good,label"] + [f"{x},{a},{b},{c},{CLASSES[k]}" for x, (a, b, c), k in zip(mean, shares, place, strict=True)]
    (folder / "reference.csv").write_text("\n".join(lines) + "\n")
    store = new_store(folder / "home", threads=2)
    store.register(
        RegistrationRequest(
            model="mood", version="1", task="multiclass", reference=folder / "reference.csv", label="label",
            score=("bad=bad", "fair=fair", "good=good"), features=("x",),
        ),
    )  # fmt: skip
    records: list[dict[str, Any]] = []

    def add(own: str, x: float, chances: Any, label: str, extra: dict[str, Any], at: datetime, **more: Any) -> None:
        base = {"id": own, "model": "mood", "at": at.isoformat(), "received_at": at.isoformat()}
        score = dict(zip(CLASSES, map(float, chances), strict=True))
        records.append({"kind": "prediction", "version": "1", "features": {"x": x}, "score": score, **base})
        records.append({"kind": "label", "value": label, "source": "human", **extra, **more, **base})

    for row, (x, chances, k) in enumerate(zip(mean, shares, place, strict=True)):
        add(
            f"m-{row}",
            float(x),
            chances,
            CLASSES[k],
            {"raters": 20, "rating_mean": float(x), "rating_spread": 0.6},
            START + timedelta(minutes=row),
        )
    sure_good = (0.02, 0.03, 0.95)
    add("supported", 1.0, sure_good, "fair", SUPPORTED, START)
    add("split", 2.0, sure_good, "fair", SPLIT, START)
    add("alone", 1.4, sure_good, "fair", {}, START)
    add("agreed", 0.7, sure_good, "fair", {}, START, annotator="a0")
    for number in range(1, 4):
        at = (START + timedelta(hours=number)).isoformat()
        records.append(
            {"kind": "label", "id": "agreed", "model": "mood", "at": at, "received_at": at, "value": "fair", "annotator": f"a{number}"}
        )
    path = folder / "records.jsonl"
    path.write_text("\n".join(json.dumps(each) for each in records) + "\n")
    report = store.load_files([path], LoadDefaults())
    assert report.rejected == 0, report.reasons
    yield store
    store.close()


def test_borders_of_classes_lie_between_the_means_of_their_labels(ratings: Database) -> None:
    borders = label_support.rating_borders(open_case(ratings, "alone"))
    assert borders["bad"][1] == pytest.approx(-0.5, abs=0.03) == borders["fair"][0]
    assert borders["fair"][1] == pytest.approx(0.5, abs=0.03) == borders["good"][0]


def test_a_label_that_twenty_raters_support_is_not_suspect(ratings: Database) -> None:
    check = open_case(ratings, "supported").part("label_check")
    assert not check.suspect and not check.unclear and check.supported
    assert "20 raters: mean 0.1 ± 0.13" in check.because and "people support the label" in check.because
    assert all(each.source != "label" for each in open_case(ratings, "supported").part("triage"))


def test_a_label_at_the_border_of_its_raters_is_suspect(ratings: Database) -> None:
    case = open_case(ratings, "split")
    check, found = case.part("label_check"), label_support.rater_support(case)
    border = label_support.rating_borders(case)["fair"][1]
    assert found is not None
    assert found.decided == pytest.approx(norm.sf((border - 0.47) / (0.9 * (2 / 20) ** 0.5)))
    assert check.suspect
    assert case.part("triage")[0].source == "label", case.part("triage")


def test_the_spread_between_rater_panels_uses_the_error_of_both_means() -> None:
    """Two panels of 20 raters have a spread of 0.9 around the same mean. The test asks how often one panel is below a boundary if the other
    is 0.13 above it.
    """
    rng = np.random.default_rng(2)
    panels = rng.normal(0, 0.9, (4_000, 2, 20)).mean(axis=2)
    below = float((panels[:, 1] - panels[:, 0] < -0.13).mean())
    assert label_support.probability_within((-np.inf, 0.5), 0.63, 0.9 * (2 / 20) ** 0.5) == pytest.approx(below, abs=0.02)


@pytest.mark.parametrize(("share", "words"), [(4.8e-90, "under 0.1 %"), (0.0, "under 0.1 %"), (0.0123, "1.2 %"), (1.0, "100 %")])
def test_a_tiny_probability_of_raters_has_no_exponent(share: float, words: str) -> None:
    assert label_support.small_chance(share) == words


def test_without_raters_the_model_alone_makes_the_label_suspect(ratings: Database) -> None:
    assert open_case(ratings, "alone").part("label_check").suspect


def test_four_annotators_that_agree_support_a_label(ratings: Database) -> None:
    check = open_case(ratings, "agreed").part("label_check")
    assert check.votes == {"fair": 4} and check.supported and not check.suspect


def test_fields_of_raters_are_found_by_their_names() -> None:
    given = {"n_annotators": 5, "mean": 2.5, "std": 1, "gold": True, "note": "x"}
    assert label_support.rating_fields(given) == {"raters": 5.0, "mean": 2.5, "spread": 1.0}
    assert label_support.rating_fields({"note": "x"}) == {}


def test_classes_whose_ratings_overlap_have_no_border() -> None:
    low, high = np.linspace(0, 1, 50), np.linspace(0.5, 1.5, 50)
    assert label_support.border_between(low, high) is None
    assert label_support.border_between(low, low + 2) == pytest.approx(1.5)
