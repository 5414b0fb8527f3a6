"""Check that clock and calendar effects on a live model raise no alert, and that a fault raises one alert, however often its onset is
estimated again. The column `month` is outside the reference in every row. This standing critical finding is alerted once per model.
"""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from observability.alerts import alert_log
from observability.alerts.config import AlertConfig
from observability.monitoring import check
from observability.server import watcher
from observability.store.opener import open_store
from observability.store.types.loading import LoadDefaults
from observability.store.types.registration import RegistrationRequest
from tests.support.length import LONG, some

FEATURES = ("hour", "weekday", "month", "day", "load", "amount")
FIRST = datetime(2026, 5, 18, tzinfo=UTC)
BROKEN = datetime(2026, 6, 30, tzinfo=UTC)
LOOKS = tuple(BROKEN + timedelta(days=day, hours=hour) for day in (1, 3, 5) for hour in (12, 21))
"""Times of the checks: over the end of a month, a Wednesday, a Friday and a Sunday."""
HOURS = np.array([0, 0, 0, 0, 0, 1, 3, 5, 6, 5, 4, 4, 4, 4, 4, 5, 7, 8, 8, 6, 4, 3, 2, 1.0])
WEEKDAYS = np.array([1.1, 1.1, 1.0, 1.0, 1.2, 0.7, 0.5])


def rows(start: datetime, days: int, seed: int, a_day: int = 130) -> pd.DataFrame:
    """Requests that follow a daily and a weekly pattern. The error is larger in the evening and at the weekend."""
    rng = np.random.default_rng(seed)
    size = rng.poisson(a_day * WEEKDAYS[(start.weekday() + np.arange(days)) % 7])
    day, hour = np.repeat(np.arange(days), size), rng.choice(24, size.sum(), p=HOURS / HOURS.sum())
    at = pd.Timestamp(start) + pd.to_timedelta(day * 86_400 + hour * 3600 + rng.uniform(0, 3600, day.size), unit="s")
    frame = pd.DataFrame(
        {
            "at": at,
            "hour": hour.astype(float),
            "weekday": at.strftime("%a").astype(object),
            "month": at.month.astype(float),
            "day": at.day.astype(float),
            "load": HOURS[hour] * rng.lognormal(0, 0.2, day.size),
            "amount": rng.lognormal(3, 0.6, day.size),
        }
    )
    hard = np.where((hour >= 18) | (at.weekday >= 5), 1.6, 1.0)
    frame["score"] = 20 + 2 * frame["load"] + 0.3 * frame["amount"]
    frame["label"] = frame["score"] + 4 * hard * rng.normal(0, 1, day.size)
    return frame.sort_values("at", ignore_index=True)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    home = tmp_path_factory.mktemp("calendar")
    with open_store(home, threads=2) as opened:
        for name, seed in (("clean", 1), ("broken", 2)):
            known = rows(datetime(2025, 9, 1, tzinfo=UTC), 91, 10 + seed)
            known.drop(columns="at").to_parquet(home / "reference.parquet")
            opened.register(
                RegistrationRequest(
                    model=name,
                    version="1",
                    reference=home / "reference.parquet",
                    task="regression",
                    label="label",
                    score=("score",),
                    features=FEATURES,
                ),
            )
            stream = rows(FIRST, 50, seed)
            if name == "broken":
                stream.loc[stream["at"] >= pd.Timestamp(BROKEN), "amount"] *= 40.0
            stream.assign(id=[f"{name}{place}" for place in range(len(stream))]).to_parquet(home / "rows.parquet")
            assert opened.load_files([home / "rows.parquet"], LoadDefaults("prediction", name, "1", FEATURES)).rejected == 0
        yield opened


def test_clock_and_calendar_columns_raise_no_alarm_and_each_fault_is_alerted_once(store):
    state, config = watcher.Watching(started=LOOKS[0]), AlertConfig(channels={"team": "json://127.0.0.1:9"}, default=("team",))
    for now in LOOKS[:: 1 if LONG else 2]:
        watcher.check_live_models(store, state, config, now)
    alerts = list(alert_log.alerts_by_incident(store, LOOKS[-1]).values())
    months = [each for each in alerts if each.claims[0].split("|")[1] == "month"]
    assert sorted(each.model for each in months) == ["broken", "clean"], [each.title for each in alerts]
    (fault,) = (each for each in alerts if each not in months)
    assert (fault.model, fault.state) == ("broken", "open") and "`amount`" in fault.title
    assert fault.opened_at == LOOKS[0], "half a day after the first whole day of the fault"
    assert len(alert_log.messages_by_key(store)) == len(alerts)


@pytest.mark.parametrize("now", some(LOOKS[::2], 1))
def test_a_clean_day_has_no_critical_finding_at_any_hour(store, now):
    report = check.check(store, model="clean", now=now, with_records=False)
    assert {each.subject for each in report.findings if each.severity == "act"} == {"month"}, report.findings
    drift = {each.subject: each for each in report.findings if each.analyzer == "serving/drift"}
    ends = {row[0] for row in drift["hour"].evidence["by_day"]}
    assert max(ends) == (now - timedelta(days=1)).date().isoformat(), "half a day does not count as a day"
    assert len(ends) >= 6
