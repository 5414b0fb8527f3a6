"""The latency page draws the rows: requests by status, percentiles, replicas next to each other, objectives and alerts."""

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from observability.compare.difference import Difference
from observability.core.finding import Finding
from observability.core.metric_definitions import METRICS
from observability.core.settings import ModelSettings
from observability.dashboard import theme
from observability.dashboard.charts import latency as charts_latency
from observability.dashboard.serving import compare_parts, latency, service_level
from observability.metrics.traffic import PERCENTILE_WORDS
from observability.stats.interval import Interval
from observability.stats.quantile import LOG_EDGES
from observability.stats.service_level import RULES
from observability.store.db.database import Database
from observability.store.types.loading import LoadDefaults
from tests.support.dashboard_pages import opened, words
from tests.support.record_lines import prediction

DAYS = pd.to_datetime(["2026-03-02", "2026-03-03"])
HOSTILE = "<b>r</b>"


def histogram(values: dict[tuple[pd.Timestamp, str], np.ndarray]) -> pd.DataFrame:
    """The result of a query for `latency_ms` by period and status, computed from raw values."""
    parts = []
    for (period, status), held in values.items():
        bins, n = np.unique(np.searchsorted(LOG_EDGES, held, side="right"), return_counts=True)
        parts.append(pd.DataFrame({"period": period, "status": status, "column": "latency_ms", "bin": bins, "n": n}))
    frame = pd.concat(parts, ignore_index=True)
    return frame.assign(w=frame["n"].astype(float), w2=frame["n"].astype(float))


def test_requests_are_stacked_by_status_ok_first() -> None:
    counts = pd.DataFrame({"period": [DAYS[0], DAYS[0], DAYS[1]], "status": ["timeout", "ok", "ok"], "n": [3, 90, 80]})
    shown = latency.status_counts_frame(counts)
    assert shown.to_dict("list") == {"period": list(DAYS), "ok": [90, 80], "timeout": [3, 0]}
    figure = charts_latency.requests_by_status_bars(shown)
    assert [trace.name for trace in figure.data] == ["ok", "timeout"] and figure.layout.barmode == "stack"
    assert figure.data[1].marker.color == theme.WATCH and list(figure.data[1].y) == [3, 0]


def test_percentiles_are_those_of_the_values_and_few_answers_have_no_interval() -> None:
    rng = np.random.default_rng(2)
    many, few = rng.lognormal(4, 0.6, 2000), rng.lognormal(4, 0.6, 60)
    shown = latency.percentile_frame(histogram({(DAYS[0], "ok"): many, (DAYS[0], "error"): np.full(500, 0.5), (DAYS[1], "ok"): few}))
    for q in (50, 95, 99):
        assert shown[f"p{q}"][0] == pytest.approx(np.percentile(many, q, method="inverted_cdf"), rel=0.0201)
    assert list(shown["n"]) == [2000, 60]
    assert shown["low"][0] < shown["p99"][0] < shown["high"][0] and np.isnan(shown["low"][1])
    figure = charts_latency.latency_percentile_lines(shown, limit=200.0, log=True)
    assert figure.layout.yaxis.type == "log"
    assert {"p50", "p95", "p99"} <= {trace.name for trace in figure.data}
    assert figure.layout.annotations[-1].text == "service level" and figure.layout.annotations[-1].y == pytest.approx(np.log10(200))
    assert "2,000 answers" in next(trace for trace in figure.data if trace.name == "p99").customdata[0]


def test_a_replica_csv_row_has_counts_error_rate_and_percentiles() -> None:
    from observability.metrics.traffic import request_counts

    values = np.random.default_rng(3).lognormal(3, 0.5, 800)
    part = histogram({(DAYS[0], "ok"): values, (DAYS[1], "error"): np.full(40, 5.0)})
    found = latency._service_figures(HOSTILE, request_counts(part, part))
    assert found["n"] == 840 and found["answers"] == 800 and found["error_rate"] == pytest.approx(40 / 840)
    assert found["latency_p99"] == pytest.approx(np.percentile(values, 99, method="inverted_cdf"), rel=0.0201)
    assert found["latency_p99_enough"] and found["latency_p99_low"] <= found["latency_p99"] <= found["latency_p99_high"]


def test_a_percentile_in_a_sparse_tail_is_a_logged_latency_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """A week of the sample's challenger: pandas interpolates between 0.392 and 0.514 ms, whereas the page shows the larger value."""
    values = pd.Series([0.05] * 2162 + [0.392, 0.514] + [4.2] * 21)
    part = histogram({(DAYS[0], "ok"): values.to_numpy()})
    from observability.metrics.traffic import request_counts

    p99 = request_counts(part, part).quantile(0.99)
    assert p99.value == pytest.approx(np.percentile(values, 99, method="inverted_cdf"), rel=0.0201)
    assert values.quantile(0.99) == pytest.approx(0.411, abs=0.001) and p99.low < values.quantile(0.99) < p99.high
    drawn: list[str] = []
    monkeypatch.setattr(compare_parts, "plain_caption", drawn.append)
    whole = Interval(p99.value, p99.low, p99.high, p99.n)
    compare_parts.percentile_note([Difference("latency", "model", "error_rate", "share", whole, whole, whole, 0.1, 0.5)])
    assert not drawn
    compare_parts.percentile_note([Difference("latency", "model", "latency_p99", "ms", whole, whole, whole, 0.1, 0.5)])
    assert drawn == [PERCENTILE_WORDS] and "±2 %" in drawn[0] and "pandas" in drawn[0]
    assert all("not interpolated" in METRICS[f"latency_p{q}"].formula and "2 %" in METRICS[f"latency_p{q}"].formula for q in (50, 95, 99))


def finding(metric: str, subject: str, **own) -> Finding:
    start = datetime(2026, 3, 2, tzinfo=UTC)
    fields = {"value": 0.4, "low": 0.3, "high": 0.5, "n": 1000, "severity": "ok", "because": "So.", "evidence": {}} | own
    return Finding("serving/latency", "m", None, subject, metric, start=start, end=start, against="level", **fields)


def test_service_objectives_show_target_achieved_value_and_remaining_budget() -> None:
    settings = ModelSettings(service_level_availability=0.999, service_level_latency_ms=250.0)
    budget = finding("error_budget_left", "model", evidence={"target": 0.999, "achieved": 0.9994}, severity="watch")
    cells = service_level._objective_row(budget, settings)["cells"]
    assert cells["target"]["t"] == "99.9 %" and cells["achieved"]["t"] == "99.94 %" and cells["left"]["t"] == "40 %"
    assert cells["left"]["bar"] == {"v": 0.4, "max": 1.0, "tone": "watch"} and cells["status"]["t"] == "Warning"
    slow = service_level._objective_row(finding("error_budget_left", "latency_ms", value=None, severity="unknown"), settings)["cells"]
    assert slow["target"]["t"] == "99 % within 250 ms" and slow["left"]["t"] == "–" and slow["status"]["t"] == "Unknown"


def test_burn_rate_alerts_are_on_off_or_lack_requests() -> None:
    rules = [[14.4, 1, 1, 20.0, 10.0, 30.0, 20.0, 60, 7, False], [6.0, 6, 1, 19.0, 13.0, 26.0, 20.0, 360, 34, True],
             [1.0, 72, 6, 0.5, 0.4, 0.6, 1.0, 2880, 37, False]]  # fmt: skip
    burn = finding("burn_rate", "model", evidence={"rules": rules})
    cells = [service_level._burn_rate_row(burn, place)["cells"] for place in range(len(RULES))]
    assert [each["status"]["t"] for each in cells] == ["Too few requests", "On", "Off"]
    assert [each["window"]["t"] for each in cells] == ["1 hour", "6 hours, and the last 1 hour", "3 days, and the last 6 hours"]
    assert cells[1]["bad"]["t"] == "34 of 360" and cells[1]["status"]["s"] == "act"
    assert service_level._burn_rate_row(finding("burn_rate", "model"), 0)["cells"]["status"]["s"] == "unknown"


def test_a_single_answer_is_written_in_the_singular() -> None:
    from observability.detection.latency_sentences import n_answers

    assert (n_answers(1), n_answers(2), n_answers(1200)) == ("1 answer", "2 answers", "1,200 answers")
    one = latency.percentile_frame(histogram({(DAYS[0], "ok"): np.array([20.0])}))
    assert (
        "1 answer" in (found := charts_latency.latency_percentile_lines(one, limit=None, log=True).data[-1].customdata[0])
        and "answers" not in found
    )


def test_answers_without_a_latency_are_told_beside_the_percentiles() -> None:
    """Regression: 1,875 predictions succeeded, but the percentiles came from 1,819, and the page gave no reason."""
    rows = [("ok", -1, 56), ("ok", 3, 1700), ("timeout", 9, 119), ("error", -1, 40)]
    latencies = pd.DataFrame(rows, columns=["status", "bin", "n"])
    assert latency.untimed_words(latencies) == "56 of 1,875 answers logged no latency; the percentiles are of the others."
    assert latency.untimed_words(latencies[latencies["bin"] >= 0]) is None


def test_a_model_without_latencies_is_told_how_to_log_them(empty: Database, tmp_path: Path) -> None:
    (tmp_path / "lines.jsonl").write_text("\n".join(json.dumps(prediction(i)) for i in range(3)), encoding="utf-8")
    empty.load_files([tmp_path / "lines.jsonl"], LoadDefaults())
    said = words(opened("latency", model="loan", window="Everything"))
    assert "No latency was logged in this window." in said and "latency_ms" in said and "requests, none failed." in said
