"""The energy page shows the energy computed from raw latencies and an assumed power, says that it is assumed, and lists the runs."""

import json
from collections import Counter
from io import StringIO

import numpy as np
import pandas as pd
import pytest

from tests.browser.accessibility import accessible
from tests.browser.conftest import Visit
from tests.browser.pages import download, figure, row, words
from tests.support import raw_rows
from tests.support.running import Dashboard

pytestmark = pytest.mark.browser
LATE = "flights-late"
PRICES = [json.loads(line) for line in (raw_rows.SAMPLE / "prices.jsonl").read_text().splitlines()]
JULY = next(each for each in PRICES if each["from"] == "2013-07-01T00:00:00Z")


@pytest.mark.long  # tests/dashboard/test_energy.py
def test_energy_and_carbon_of_july_are_latency_times_the_assumed_power(fleet: Dashboard, visit: Visit) -> None:
    page = visit(f"{fleet.url}/energy?model={LATE}&from=2013-07-01&to=2013-08-01")
    july = raw_rows.between(raw_rows.predictions(LATE), "2013-07-01", "2013-08-01")
    wh = july["latency_ms"].sum() / 1000 * 4 / 3600 * JULY["pue"]
    days = pd.read_csv(StringIO(download(page, "by-day-wh-csv")))
    assert (days["value"] * days["served"] / 1000).sum() == pytest.approx(wh, rel=1e-9)
    assert set(days["source"]) == {"assumed"} and len(days) == 31
    by_version = pd.read_csv(StringIO(download(page, "versions-csv"))).iloc[0]
    assert by_version["wh"] == pytest.approx(wh, rel=1e-9) and by_version["grams"] == pytest.approx(
        wh / 1000 * JULY["carbon_g_per_kwh"], rel=1e-9
    )
    assert row(page, "Energy and carbon by version", "Version", "1")["Basis of energy"]["text"] == "assumed"
    said = words(page)
    micro = float(
        figure(r"Serving draws ([\d.]+) µWh per thousand predictions \(assumed, from latency and an assumed 4 W per busy core", said)[0]
    )
    assert micro == pytest.approx(1e6 * 1000 * wh / len(july), rel=5e-3)


@pytest.mark.long  # tests/dashboard/test_energy.py
def test_runs_are_durations_times_cores_times_the_assumed_power(fleet: Dashboard, visit: Visit) -> None:
    page = visit(f"{fleet.url}/energy?model={LATE}")
    files = [raw_rows.SAMPLE / name for name in ("training.jsonl", "study.jsonl", "distributed.jsonl", "signals.jsonl")]
    lines = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    of: dict[str, dict[str, pd.Timestamp]] = {}
    cores: dict[str, int] = {}
    read: Counter[str] = Counter()
    until: dict[str, pd.Timestamp] = {}  # a reading that overlaps the previous one counts only for the rest of its time
    for each in lines:
        if each["kind"] == "resource":
            at = pd.Timestamp(each["at"])
            fresh = (at - until.get(each["run"], pd.Timestamp(0, tz="UTC"))).total_seconds()
            read[each["run"]] += each["energy_j"] * min(fresh / each["seconds"], 1.0)
            until[each["run"]] = at
        if each["kind"] == "run" and each["run"].startswith(f"{LATE}-"):
            of.setdefault(each["run"], {})[each["event"]] = pd.Timestamp(each["at"])
            used = each.get("hardware", {})
            cores[each["run"]] = used.get("cores_usable", used.get("cores", cores.get(each["run"], 0)))
    shown = pd.read_csv(StringIO(download(page, "runs-csv"))).set_index("run")
    assert len(shown) == 20 and set(read) < set(shown.index) <= set(of), "the table shows the newest 20 of all runs"
    for name in shown.index:
        hours = (of[name]["end"] - of[name]["start"]).total_seconds() / 3600
        own = read[name] / 3600 if name in read else hours * cores[name] * 4
        assert shown.loc[name, "wh"] == pytest.approx(own * 1.2, rel=1e-6)
    assert set(shown["source"]) == {"assumed"} and "No run ended in this window" in words(page)
    sweep = pd.DataFrame([json.loads(line) for line in (raw_rows.SAMPLE / "savings.jsonl").read_text().splitlines()])
    sweep = sweep[sweep["kind"] == "resource"].assign(
        joules=lambda each: each["watts"] * each["seconds"], cap=lambda each: each["run"].str.split("-").str[-2]
    )
    of_caps = np.log(sweep.groupby(["cap", "run"])["joules"].sum()).groupby("cap").mean()
    saved = figure(r"a cap of 35 W takes ([\d.]+) % less energy \(.* %\) and [\d.]+ % more time than 45 W", words(page))[0]
    assert float(saved) == pytest.approx(100 * (1 - np.exp(of_caps["35"] - of_caps["45"])), abs=0.1)
    (hour,) = figure(r"Runs (?:would emit least|start at hours of little carbon: at|started at) (\d\d):00 UTC", words(page))
    assert int(hour) == pd.read_csv(StringIO(download(page, "start-hours-csv"))).set_index("hour")["grams"].idxmin()
    accessible(page)


@pytest.mark.long  # tests/dashboard/test_sample_pages.py checks the same
def test_the_energy_page_says_what_to_log_and_ignores_a_slice(fleet: Dashboard, visit: Visit) -> None:
    page = visit(f"{fleet.url}/energy?model={LATE}&slice=carrier%3DAA")
    assert "the chosen slice is ignored" in words(page)
    page.get_by_text("Improve these figures").click()
    page.get_by_text('"kind":"resource"').wait_for()
