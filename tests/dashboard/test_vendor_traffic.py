"""Vendor traffic: stated token prices, models of kind API, one timeline over all question sets of a vendor, and sets of free text with
scores.
"""

from dataclasses import replace
from datetime import UTC, timedelta
from pathlib import Path

import pandas as pd
import pytest

from observability.core.finding import Finding
from observability.core.settings import ModelSettings
from observability.dashboard import load, load_findings
from observability.dashboard.scope import Scope
from observability.dashboard.serving import model_calls
from observability.dashboard.serving.vendor_timeline import timeline_rows, vendor_of
from observability.dashboard.serving.vendors import sets_in_scope
from observability.detection import probe_claims
from observability.store.db.database import Database
from tests.dashboard.conftest import land
from tests.support.dashboard_pages import opened, tables, words
from tests.support.vendor_nights import START, VendorNights


def at_hour(monkeypatch: pytest.MonkeyPatch, hours: float) -> None:
    monkeypatch.setattr(load, "page_clock", lambda: (START + timedelta(hours=hours)).replace(tzinfo=UTC))


def plain_call(number: int, model: str, **fields: object) -> dict[str, object]:
    """A call of a language model as its span is stored, without a cost."""
    at = (START.replace(tzinfo=UTC) + timedelta(minutes=number)).isoformat()
    about = {
        "kind": "prediction",
        "id": f"{model}{number}",
        "at": at,
        "model": model,
        "version": "1",
        "prediction": "stop",
        "latency_ms": 100.0,
    }
    return {**about, "features": {"operation": "chat", "input_tokens": 200_000, "output_tokens": 50_000}, **fields}


def rows_of(title: str, **query: str) -> dict[str, dict]:
    return {row["cells"]["model"]["t"]: row["cells"] for row in tables(opened("vendors", **query))[title]["rows"]}


def test_tokens_use_the_owners_prices_unless_a_cost_is_logged(empty: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [plain_call(k, "plain") for k in range(4)] + [plain_call(k, "logged", cost=0.25) for k in range(4)]
    lines += [plain_call(k, "euros", **({"cost": 0.25, "currency": "EUR"} if k < 2 else {})) for k in range(4)]
    land(empty, lines + [plain_call(k, "mixed", **({"cost": 0.25} if k < 2 else {})) for k in range(4)], tmp_path)
    at_hour(monkeypatch, 1)
    for model in ("logged", "mixed", "euros"):
        prices = ModelSettings(input_price_per_million=2.0, output_price_per_million=8.0, token_currency="USD")
        empty.update_settings(model, prices)
    app = opened("cost", model="plain")
    assert not app.exception
    for name, price in (("Input tokens", 2.0), ("Output tokens", 8.0)):
        next(each for each in app.number_input if each.label == name).set_value(price)
    next(each for each in app.selectbox if each.label == "Currency of tokens").set_value("USD")
    next(each for each in app.button if each.key and "set-token-prices" in each.key).click().run()
    assert load.store().catalog().model("plain").settings.input_price_per_million == 2.0
    found = rows_of("Calls of language models by model and route")
    told = {name: (cells["cost"]["t"], cells["cost"]["sub"]) for name, cells in found.items()}
    assert told == {
        "plain": ("USD 3.20", "stated prices"), "logged": ("USD 1.00", "logged"), "mixed": ("USD 2.10", "partly stated prices"),
        "euros": ("EUR 0.50, USD 1.60", "partly stated prices; currencies are not summed"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "stated", "amounts"),
    [
        ({"cost_currency": "EUR", "token_currency": "USD"}, {}, "EUR 0.50, USD 1.60"),
        ({"cost_currency": "EUR"}, {"currency": "USD"}, "EUR 1.60, USD 0.50"),
        ({"budget_currency": "EUR"}, {}, "EUR 2.10"),
        ({"token_currency": "USD"}, {"currency": "USD"}, "USD 2.10"),
    ],
)
def test_logged_costs_and_priced_tokens_in_another_currency_are_shown_side_by_side(
    empty: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict, stated: dict, amounts: str
) -> None:
    """Regression: the tokens of calls without a cost were left out, or their price was added to an amount in another currency."""
    land(empty, [plain_call(k, "one", **({"cost": 0.25, **stated} if k < 2 else {})) for k in range(4)], tmp_path)
    at_hour(monkeypatch, 1)
    empty.update_settings("one", ModelSettings(input_price_per_million=2.0, output_price_per_million=8.0, **settings))
    assert rows_of("Calls of language models by model and route")["one"]["cost"]["t"] == amounts


def test_costs_of_a_route_in_several_currencies_are_shown_side_by_side(
    empty: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Regression: EUR 0.50 and USD 0.75 were added up and shown as "several currencies 1.25"."""
    paid = [(0.25, "EUR"), (0.25, "EUR"), (0.75, "USD")]
    land(empty, [plain_call(k, "two", cost=cost, currency=currency) for k, (cost, currency) in enumerate(paid)], tmp_path)
    at_hour(monkeypatch, 1)
    cell = rows_of("Calls of language models by model and route")["two"]["cost"]
    assert (cell["t"], cell["sub"]) == ("EUR 0.50, USD 0.75", "logged; currencies are not summed")


@pytest.mark.parametrize(("of_tokens", "amounts"), [("USD", "EUR 0.50, USD 2.35"), ("GBP", "EUR 0.50, GBP 1.60, USD 0.75")])
def test_the_tokens_of_calls_without_a_cost_are_counted_beside_costs_in_several_currencies(
    empty: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, of_tokens: str, amounts: str
) -> None:
    """Two calls state no cost: 400,000 input tokens at 2 and 100,000 output tokens at 8 per million are 1.60."""
    paid = [{"cost": 0.25, "currency": "EUR"}, {"cost": 0.25, "currency": "EUR"}, {"cost": 0.75, "currency": "USD"}, {}, {}]
    land(empty, [plain_call(k, "two", **cost) for k, cost in enumerate(paid)], tmp_path)
    at_hour(monkeypatch, 1)
    prices = ModelSettings(input_price_per_million=2.0, output_price_per_million=8.0, token_currency=of_tokens, cost_currency="USD")
    empty.update_settings("two", prices)
    cell = rows_of("Calls of language models by model and route")["two"]["cost"]
    assert (cell["t"], cell["sub"]) == (amounts, "partly stated prices; currencies are not summed")


def test_a_model_of_kind_api_is_listed_in_the_traffic_without_tokens(
    empty: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    classic = [plain_call(k, "geo/risk", features={"town": "x"}, **({"status": "timeout"} if k == 0 else {})) for k in range(4)]
    land(empty, [*classic, *(plain_call(k, "own", features={"town": "x"}) for k in range(4))], tmp_path)
    at_hour(monkeypatch, 1)
    assert "Calls of vendors and language models" not in words(opened("vendors"))
    empty.update_settings("geo/risk", ModelSettings(kind="api", vendor="Geo"))
    found = rows_of("Calls of language models by model and route")
    assert {name: (cells["calls"]["t"], cells["errors"]["t"], cells["latency"]["t"]) for name, cells in found.items()} == {
        "geo/risk": ("4", "25 %", "100")
    }
    assert vendor_of("geo/risk") == "Geo" and vendor_of("own") == "own"


def probe_lines(nights: VendorNights, **extra: object) -> list[dict]:
    lines = []
    for row in nights.rows().to_dict("records"):
        own = row.pop("extra") | extra
        lines.append(
            {
                "kind": "prediction",
                "environment": "probe",
                **row,
                **own,
                "id": f"{row['model']}{own['set']}{row['id']}",
                "at": row["at"].isoformat() + "Z",
            }
        )
    return lines


def test_one_timeline_has_all_sets_and_models_of_a_vendor_with_their_changes(
    empty: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = probe_lines(VendorNights(12, items=20, noise=0.0, changed=8, from_night=10))
    lines += probe_lines(VendorNights(12, items=20, noise=0.0, seed=1, model="acme/other", from_night=9, own={"version": "2026-02"}))
    lines += probe_lines(VendorNights(12, items=12, noise=0.0, seed=2, text=True), set="letters", rubric={"helpful": 4.0})
    lines += probe_lines(VendorNights(12, items=20, noise=0.0, seed=3, model="third"))
    land(empty, lines, tmp_path)
    at_hour(monkeypatch, 24 * 11 + 6)
    app = opened("vendors")
    assert not app.exception and "All sets of acme" in words(app)
    sets, _ = sets_in_scope(Scope())
    found = load_findings.scope_record_findings(Scope(), "serving/vendors")
    rows = timeline_rows([each for each in sets if vendor_of(each[0].model) == "acme"], found)
    assert set(rows["name"]) == {"acme/chat: tickets", "acme/chat: letters", "acme/other: tickets"}
    flips = rows[rows["value"] > 0].query("name == 'acme/chat: tickets'")
    assert flips[["value", "mark"]].values.tolist() == [[0.4, "change"]] and flips["at"].iloc[0] == pd.Timestamp(START + timedelta(days=10))
    slower = replace(found[0], model="acme/chat", subject="probes:letters", metric=probe_claims.LATENCY, severity="act")
    slower = replace(slower, onset=(START + timedelta(days=5)).replace(tzinfo=UTC))
    again = timeline_rows([each for each in sets if vendor_of(each[0].model) == "acme"], [*found, slower])
    assert again.equals(rows), "a round that is only slower marks no answers as changed"
    versions = rows[rows["mark"] == "version"]
    assert versions[["name", "version"]].values.tolist() == [["acme/other: tickets", "2026-02"]]
    assert "All sets of" not in words(opened("vendors", probes="third/tickets")), "a vendor with a single set has no timeline over all sets"


def test_a_set_of_free_text_with_scores_is_drawn(empty: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nights = VendorNights(12, items=12, noise=0.0, text=True, changed=6, from_night=11)
    land(empty, probe_lines(nights, rubric={"helpful": 4.0}), tmp_path)
    at_hour(monkeypatch, 24 * 11 + 6)
    app = opened("vendors")
    assert not app.exception and "Free text is compared by hashed character n-grams." in words(app)
    measure = next(each for each in app.selectbox if "similarity to the baseline" in [option.lower() for option in each.options])
    assert {"similarity to the baseline", "mean score of a rubric"} <= {option.lower() for option in measure.options}
    assert len(tables(app)["Answers that differ from the baseline"]["rows"]) == 6


def test_each_line_about_calls_that_cannot_be_compared_names_its_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Regression: two models with too few calls gave the same sentence twice."""
    marks: list[str] = []
    monkeypatch.setattr(model_calls.st, "header", lambda *_, **__: None)
    monkeypatch.setattr(model_calls, "finding_line", lambda _, *, mark: marks.append(mark))
    start = START.replace(tzinfo=UTC)
    early = [
        Finding(model_calls.NAME, name, None, "model", "psi", None, 9, "unknown", "The calls cannot be compared yet.", start, start, "past")
        for name in ("large", "small")
    ]
    model_calls.drift_section(early)
    assert marks == [" :gray[· large]", " :gray[· small]"]
