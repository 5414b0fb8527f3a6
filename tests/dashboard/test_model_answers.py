"""The answers of a model's page name the subjects of their findings."""

from dataclasses import replace
from datetime import UTC, datetime

import pandas as pd
import pytest

from observability.core.catalog import Model
from observability.core.finding import Finding, Severity
from observability.core.formatting import status_label
from observability.core.window import Window
from observability.dashboard import model_answers
from observability.dashboard.frame import ModelPage
from observability.dashboard.model_answers import fairness_issue_words
from observability.dashboard.overview.model_status import ModelStatus
from observability.dashboard.scope import Scope


def gap(attribute: str, severity: Severity) -> Finding:
    return Finding(
        analyzer="trust/fairness", model="loan", version="1", subject=attribute, metric="equal_opportunity_difference", value=0.3, n=400,
        severity=severity, because="The gap.", start=datetime(2026, 3, 2, tzinfo=UTC), end=datetime(2026, 3, 9, tzinfo=UTC), against="level",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("sex", "age", "said"),
    [
        ("act", "ok", "1 fairness issue by sex."),
        ("act", "watch", "2 fairness issues by sex and age."),
        ("ok", "ok", "No fairness issues by sex and age."),
    ],
)
def test_a_fairness_issue_names_only_the_attributes_with_an_issue(sex: Severity, age: Severity, said: str) -> None:
    """Regression: one issue by carrier was shown as an issue by carrier and origin, although origin was within its limit."""
    assert fairness_issue_words([gap("sex", sex), gap("age", age)]) == said


@pytest.mark.parametrize("severity", ["unknown", "ok"])
def test_unknown_drivers_are_not_called_ok(severity: Severity, monkeypatch: pytest.MonkeyPatch) -> None:
    """Regression: for a slice the page said `OK: The main drivers of the scores are not known yet`."""
    main = replace(gap("model", severity), analyzer="trust/explanations", metric="attribution_share", because="Said of all.")
    told: list[str] = []
    monkeypatch.setattr(model_answers, "claim_line", lambda sentence, before="", **_more: told.append(f"{before}{sentence}"))
    monkeypatch.setattr(model_answers.links, "page_button", lambda *_about, **_more: None)
    window = Window("loan", main.start, main.end)
    model, none = Model(1, "loan"), pd.DataFrame()
    status = ModelStatus(model, window, (main, replace(main, subject="age", severity="ok", because="Of age.")), none, none, ())
    model_answers.what_drives_it(ModelPage("model", Scope(model="loan"), model, window), status)
    assert told[0] == f"{status_label(severity)}: Said of all."


@pytest.mark.parametrize(("metric", "question"), [("rank_shift", "are_inputs_normal"), ("error_rate", "is_it_right")])
def test_a_slice_whose_inputs_moved_is_about_inputs_and_one_with_errors_about_outcomes(
    metric: str, question: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Regression: `Is it right?` was answered with a column whose values became rarer in a slice, although the error was unchanged."""
    slices = replace(gap("size", "watch"), analyzer="serving/slices", metric=metric, slice="shop = north", because="Said of a slice.")
    told: dict[str, str] = {}
    monkeypatch.setattr(
        model_answers,
        "answer_heading",
        lambda asked, found, words, *_more, **_named: told.update({asked: found[0].because if found else ""}),
    )
    window, none = Window("loan", slices.start, slices.end), pd.DataFrame()
    status = ModelStatus(Model(1, "loan", task="binary"), window, (slices,), none, none, ())
    here = ModelPage("model", Scope(model="loan"), status.model, window)
    model_answers.are_inputs_normal(here, status)
    model_answers.is_it_right(here, status)
    titles = {"are_inputs_normal": "Are its inputs normal?", "is_it_right": "Is it right?"}
    assert [asked for asked, said in told.items() if said] == [titles[question]]
