"""The page of audits shows the figures of the records, and a risk owner accepts an audit."""

import json
import re

import pytest

from tests.browser.accessibility import accessible
from tests.browser.conftest import Visit
from tests.browser.pages import complete, settle, tables, words
from tests.support.raw_rows import SAMPLE
from tests.support.running import Dashboard

pytestmark = pytest.mark.browser


def test_the_audits_page_shows_the_records_and_audits_can_be_accepted(own: Dashboard, visit: Visit) -> None:
    page = visit(f"{own.url}/audits?model=employment")
    complete(page)
    records = [json.loads(line) for line in (SAMPLE / "audits.jsonl").read_text(encoding="utf-8").splitlines()]
    newest = {each["audit"]: each for each in records if each["model"] == "employment"}
    rows = {row["Audit"]["text"]: row for row in tables(page)["Audits of this model"]}
    share = newest["robustness"]["results"]["headline"]["value"]
    assert f"{round(100 * share, 1):g} %" in rows["Robustness"]["Result"]["text"]
    cheapest = newest["robustness"]["results"]["flips"][0]["id"]
    assert tables(page)["Cheapest changes"][0]["Prediction"]["text"] == cheapest
    page.get_by_role("button", name="Accept as risk owner").click()
    page.get_by_label("Your name").last.fill("Ada")
    page.get_by_label("Your name").last.press("Enter")
    settle(page)
    page.get_by_role("button", name="Sign").click()
    page.get_by_text("Ada is no risk owner of employment: not signed.").wait_for()
    page.get_by_label("Your name").last.fill("Mara (sample)")
    page.get_by_label("Your name").last.press("Enter")
    settle(page)
    page.get_by_role("button", name="Sign").click()
    page.get_by_text(re.compile(r"until \d+ \w+ 20")).first.wait_for(state="attached")
    signed = {row["Audit"]["text"]: row for row in tables(page)["Audits of this model"]}
    assert "Mara (sample)" in signed["Robustness"]["Accepted by"]["text"]
    page = visit(f"{own.url}/audits?model=employment&version=2&kind=Membership")
    complete(page)
    (ranked,) = [each["results"]["canaries"] for each in records if each["version"] == "2"]
    assert f"Mean exposure {ranked['mean_bits']:.2f} bits, 1.44 expected without memorisation (p < 0.001)" in words(page)
    shown = [(row["Canary"]["text"], row["Rank"]["text"]) for row in tables(page)["Canaries by exposure"]]
    assert shown == [(each["name"], f"{each['rank']:,}") for each in ranked["by_canary"][: len(shown)]] and len(shown) == 8
    accessible(page)


@pytest.mark.long  # tests/dashboard/test_requests, test_serving_elsewhere
def test_the_live_guard_compares_requests_with_the_reference(fleet: Dashboard, visit: Visit) -> None:
    page = visit(f"{fleet.url}/live_guard?model=employment")
    complete(page)
    assert "are far from the reference" in words(page) and "to see who copies or probes the model" in words(page)
    page = visit(f"{fleet.url}/live_guard?model=flights-late")
    complete(page)
    (unusual,) = tables(page)["Unusual subjects"]
    assert (unusual["Subject"]["text"], unusual["Status"]["text"]) == ("client-13", "Critical") and "12 other subjects" in words(page)
    followed = {row["Person"]["text"]: row for row in tables(page)["Reliance by logged actions"]}
    assert set(followed) == {"Followed", "Overrode"} and "errors of the model" in words(page)
    assert "These subjects are simulated." in words(page) and "These actions are simulated." in words(page)
    accessible(page)
