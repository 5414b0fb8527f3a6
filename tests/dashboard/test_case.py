"""The case page agrees with the raw rows, each part works alone, and a text that a person enters is shown at once and stays."""

import csv
import json
from collections.abc import Iterator
from datetime import UTC, timedelta
from io import StringIO
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from observability.core.errors import StoreBrokenError
from observability.core.formatting import DASH
from observability.core.window import Slice, Window
from observability.dashboard import load
from observability.dashboard.case import conclude
from observability.export.csv import inert_csv, rows_kept_as_logged
from observability.investigation import relabel_queue
from observability.investigation.evidence_types import ErrorRule
from observability.monitoring import check
from observability.server import process_lock
from observability.store.ingest import record_writer
from observability.store.types import search_terms
from tests.support.dashboard_pages import opened, tables, unfolded_words, words
from tests.support.dashboard_world import END, HOSTILE, START, World, build


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A separate world that tests may write to."""
    found = build(tmp_path_factory.mktemp("case"))
    yield found
    found.store.close()


@pytest.fixture
def mine(own: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """The world of `own` as the store that this process owns."""
    monkeypatch.setattr(process_lock, "current_store", lambda: own.store)
    monkeypatch.setattr(load, "page_clock", lambda: END)
    return own


def wrong(world: World) -> str:
    """The id of a loan that was decided wrongly."""
    raw = world.loan
    return f"l{raw.index[raw['labelled'] & ((raw['score'] >= 0.5) != (raw['label'] == 1))][40]}"


def test_a_case_says_what_was_logged(mine: World) -> None:
    name = wrong(mine)
    raw = mine.loan.iloc[int(name[1:])]
    app = opened("case", id=name, model="loan")
    text = words(app)
    assert "Wrong" in text and f"{raw['score']:.2f}" in text and "known 2 hours later" in text
    table = tables(app)["Inputs, flagged ones first"]
    inputs = {each["cells"]["feature"]["t"]: each["cells"] for each in table["rows"]}
    has_details = any(cells["because"]["t"] != DASH for cells in inputs.values())
    assert ("because" in {column["key"] for column in table["columns"]}) == has_details, "an empty column is left out"
    assert set(inputs) == {"size", "age", "carrier", "sex"} and inputs["carrier"]["value"]["t"] == raw["carrier"]
    below = 100 * (mine.loan_reference["size"] < raw["size"]).mean()
    assert inputs["size"]["place"]["interval"]["v"] == pytest.approx(below, abs=2)
    assert inputs["size"]["feature"]["go"]["page"] == "drift" and inputs["size"]["feature"]["go"]["parameters"]["feature"] == "size"
    near = tables(opened("case", id=name, model="loan", section="label"))["Nearest cases and their labels"]["rows"]
    assert len(near) == 10 and all(each["cells"]["case"]["go"]["page"] == "case" for each in near)
    triage = tables(app)["Suspected sources, best first"]["rows"]
    assert [float(each["cells"]["score"]["t"]) for each in triage] == sorted(
        (float(each["cells"]["score"]["t"]) for each in triage), reverse=True
    )


TITLES = {
    "inputs": ["Input checks"], "why": ["Why this score?"], "edge": ["Decision boundary"], "label": ["Label check"],
    "alike": ["Similar errors"], "versions": ["Other versions"], "said": ["Timeline", "Earlier conclusions"],
}  # fmt: skip


def test_the_section_bar_lists_every_section_with_a_one_word_summary(mine: World) -> None:
    name = wrong(mine)
    app = opened("case", id=name, model="loan")
    row = tables(app)["Sections of this case"]
    assert [each["to"] for each in row["rows"]] == list(TITLES) and row["opened"] == "inputs"
    assert {"happened", "conclude", "take", *TITLES} == set(row["leads"]), "each anchor of earlier addresses leads to a section"
    assert all(f"section={each['to']}" in each["href"] and f"id={name}" in each["href"] for each in row["rows"])
    words_of = {each["to"]: each["word"] for each in row["rows"]}
    odd = sum(each["cells"]["flag"].get("s") in ("watch", "act") for each in tables(app)["Inputs, flagged ones first"]["rows"])
    assert words_of["why"] == "not available" and words_of["said"] == "none yet"
    assert words_of["inputs"] == (f"{odd} flagged" if odd else "none flagged")


def test_only_the_opened_section_is_drawn(mine: World) -> None:
    name = wrong(mine)
    for section, titles in TITLES.items():
        app = opened("case", id=name, model="loan", section=section)
        assert [each.value for each in app.header] == titles
        assert tables(app)["Suspected sources, best first"]["rows"] and tables(app)["Main inputs"]["rows"], (
            "the sections of the first screen are still there"
        )
    app = opened("case", id=name, model="loan", section="nonsense")
    assert "A case has no section nonsense; its sections are inputs, why, edge" in words(app)
    assert [each.value for each in app.header] == TITLES["inputs"]
    assert [each.value for each in opened("case", id=name, model="loan", what_if="{}").header] == TITLES["edge"]


def test_a_correct_prediction_has_no_suspected_source(mine: World) -> None:
    raw = mine.loan
    right = f"l{raw.index[raw['labelled'] & ((raw['score'] >= 0.5) == (raw['label'] == 1))][40]}"
    text = words(opened("case", id=right, model="loan"))
    assert "No error, so no source is sought." in text and "No single source stands out" not in text


def test_an_error_tree_path_states_which_errors_its_share_refers_to(mine: World) -> None:
    text = words(opened("case", id=wrong(mine), model="loan", section="alike"))
    assert (
        "of the errors of that half." in text
        and "Rows have the same decision; an error is " in text
        and "those of similar errors" not in text
    )


def test_a_case_page_stays_within_its_word_budget(mine: World) -> None:
    app = opened("case", id=wrong(mine), model="loan")
    first, whole = unfolded_words(app, before="header"), unfolded_words(app)
    assert 60 < first <= 160 and first < whole <= 250
    for section in TITLES:
        assert unfolded_words(opened("case", id=wrong(mine), model="loan", section=section), before="header") <= 160


def test_two_cases_are_shown_side_by_side(mine: World) -> None:
    name, other = wrong(mine), "l9"
    first, second = mine.loan.iloc[int(name[1:])], mine.loan.iloc[9]
    rows = {each["cells"]["what"]["t"]: each["cells"] for each in _beside(name, other)}
    assert rows["Prediction"]["own"]["t"] == name and rows["Prediction"]["other"]["go"]["parameters"]["id"] == other
    assert rows["Prediction"]["other"]["go"]["parameters"]["beside"] == name, "the link opens the other case with this case beside it"
    differ = {key for key in ("size", "age", "carrier", "sex") if first[key] != second[key] and not (first[key] != first[key])}
    assert differ <= set(rows) and f"{second['score']:.2f}" in rows["Outcome"]["other"]["t"]
    foreign = {each["cells"]["what"]["t"]: each["cells"] for each in _beside(name, "p3")}
    assert foreign["Prediction"]["other"]["sub"] == "price" and set(foreign) <= {"Prediction", "Outcome", "Source"}
    assert "The other case: prediction 'nobody' is not in any" in words(opened("case", id=name, model="loan", beside="nobody"))


def _beside(name: str, other: str) -> list[dict]:
    """The rows of the table that compares two cases."""
    return tables(opened("case", id=name, model="loan", beside=other))["This case and the other case"]["rows"]


def test_the_evidence_of_a_source_is_cut_between_sentences() -> None:
    assert conclude.first_sentences("One two. Three four. Five six.", 4) == "One two. Three four."
    assert conclude.first_sentences("One two; three four; five six.", 4) == "One two; three four …"
    assert conclude.first_sentences("One two three", 2) == "One two …"
    assert conclude.first_sentences("One two three.", 9) == "One two three."


def test_without_a_label_or_a_model_file_each_part_says_what_is_missing(mine: World) -> None:
    name = f"p{mine.price.index[~mine.price['labelled']][3]}"
    text = words(opened("case", id=name, model="price", section="label")) + words(opened("case", id=name, model="price", section="edge"))
    assert "No label yet" in text and "The performance counts this prediction as soon as its label arrives" in text
    assert "artifact" in text.lower()


def test_a_verdict_with_an_action_is_written_and_shown_and_can_be_taken_back(mine: World) -> None:
    name = wrong(mine)
    app = opened("case", id=name, model="loan", section="said")
    key = next(each.key for each in app.text_area if each.key and each.key.endswith("-note")).removesuffix("-note")
    app.selectbox(key=f"{key}-source").set_value(None)
    next(each for each in app.button if each.label == "Save").click().run()
    (error,) = app.error
    assert "Choose a source" in error.value and "Enter your name" in error.value, "one error names all missing entries"
    app.text_area(key=f"{key}-note").input("the size <b>cannot</b> be =1+1")
    app.selectbox(key=f"{key}-source").select("input")
    app.selectbox(key=f"{key}-do").select("fix_feed")
    app.text_input(key=f"{key}-author-box").input("Ada")
    submit = next(each for each in app.button if each.label == "Save")
    submit.click().run()
    assert not app.exception
    (verdict,) = mine.store.verdicts("loan", name)
    (action,) = mine.store.actions("loan", name)
    assert verdict.fields["wrong"] == "yes" and verdict.fields["source"] == "input" and verdict.fields["action"] == action.id
    assert action.fields["do"] == "fix_feed" and action.fields["due"] > verdict.first.at
    assert "cannot" in words(app) and "It was wrong; missing or wrong input" in words(app) and "Fix the feed" in words(app)
    for days, late in ((0, False), (1, True)):
        due = END.replace(hour=0) - timedelta(days=days)
        mine.store.write_records([{"kind": "action", "action": action.id, "author": "Ada", "due": due}])
        assert ("Overdue" in words(opened("case", id=name, model="loan", section="said"))) is late, (
            "an action is not overdue on its due date"
        )
    assert "<b>" not in "".join(each.value for each in app.markdown).replace("\\<", "")
    box = next(each for each in app.text_input if each.key == f"verdict-{verdict.id}-author-box")
    assert box.value == "Ada", "the name is remembered"
    next(each for each in app.button if each.key == f"verdict-{verdict.id}-withdrawn").click().run()
    (verdict,) = mine.store.verdicts("loan", name)
    assert verdict.state == "withdrawn" and len(verdict.entries) == 2 and verdict.fields["note"] == "the size <b>cannot</b> be =1+1"
    assert "withdrawn" in words(app) and "Restore" in {each.label for each in app.button}


def test_several_cases_of_a_list_get_one_verdict(mine: World) -> None:
    app = opened("cases", model="loan", q="outcome = wrong", window="Everything")
    listed = [each["cells"]["case"]["t"] for each in tables(app)["Predictions that meet the conditions"]["rows"]]
    before = len(mine.store.verdicts("loan"))
    app.multiselect(key="matching-0-cases").set_value(listed[2:4]).run()
    app.button(key="matching-0-save").click().run()
    assert "Enter your name to save." in words(app) and len(mine.store.verdicts("loan")) == before
    app.text_input(key="matching-0-author-box").input("Ada").run()
    app.button(key="matching-0-save").click().run()
    assert "State whether the predictions were wrong" in words(app)
    app.radio(key="matching-0-wrong").set_value("yes")
    app.selectbox(key="matching-0-source").select("input")
    app.text_area(key="matching-0-note").input("the same feed")
    app.button(key="matching-0-save").click().run()
    for name in listed[2:4]:
        (verdict,) = (each for each in mine.store.verdicts("loan", name) if each.fields.get("note") == "the same feed")
        assert (verdict.first.author, verdict.fields["wrong"], verdict.fields["source"]) == ("Ada", "yes", "input")
    assert len(mine.store.verdicts("loan")) == before + 2
    assert app.multiselect(key="matching-1-cases").value == [], "the form is empty after saving"
    app.checkbox(key="matching-1-all").check().run()
    assert app.button(key="matching-1-save").label == f"Save {len(listed)} verdicts"


def test_a_form_that_cannot_be_saved_keeps_its_text(mine: World, monkeypatch: pytest.MonkeyPatch) -> None:
    app = opened("case", id="l3", model="loan")
    key = next(each.key for each in app.text_area if each.key and each.key.endswith("-note")).removesuffix("-note")
    app.text_area(key=f"{key}-note").input("precious words")
    app.radio(key=f"{key}-wrong").set_value("no")
    next(each for each in app.button if each.label == "Save").click().run()
    assert "Choose a source" in words(app), "no source is preselected if none is suspected"
    app.selectbox(key=f"{key}-source").select("unknown")
    next(each for each in app.button if each.label == "Save").click().run()
    assert "Enter your name to save." in words(app)

    def broken(*_: object) -> None:
        raise StoreBrokenError("the disk is nearly full")

    monkeypatch.setattr(record_writer, "write_records", broken)
    app.text_input(key=f"{key}-author-box").input("Ada")
    next(each for each in app.button if each.label == "Save").click().run()
    assert "The disk is nearly full" in words(app)
    assert app.text_area(key=f"{key}-note").value == "precious words" and mine.store.verdicts("loan", "l3") == ()


def test_a_case_is_sent_to_be_labelled_again_once(mine: World) -> None:
    def buttons(app: AppTest) -> dict[str, str]:
        return {each.label: each.key for each in app.button if each.key}

    app = opened("case", id="l9", model="loan", section="label")
    key = buttons(app)["Send"]
    app.text_input(key=key.replace("-send", "-author") + "-box").input("Grace")
    next(each for each in app.button if each.key == key).click().run()
    (action,) = mine.store.actions("loan", "l9")
    assert action.fields["do"] == "relabel" and action.first.author == "Grace"
    assert "Send" not in buttons(app) and "in the relabel queue since" in words(app)
    page = opened("cases", model="loan", inbox="Relabel queue")
    (shown,) = tables(page)["Relabel queue, open requests first"]["rows"]
    assert shown["cells"]["case"]["go"]["parameters"]["id"] == "l9" and shown["cells"]["state"]["t"] == "Open"
    label = {"kind": "label", "id": "l9", "model": "loan", "value": 1, "annotator": "bob", "source": "human"}
    mine.store.write_records([label])
    assert "Relabelled" in words(opened("case", id="l9", model="loan", section="label"))
    page = opened("cases", model="loan", inbox="Relabel queue")
    (shown,) = tables(page)["Relabel queue, open requests first"]["rows"]
    assert shown["cells"]["state"]["t"] == "Done" and shown["cells"]["labels"]["t"] == "1 of 2"


def test_a_slice_can_be_watched_and_unwatched_in_the_settings(mine: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from observability.investigation import part_registry

    name = wrong(mine)
    part = Slice.parse("carrier=AA&size=40.0 and above")
    found = ErrorRule(
        "like this", 100, 40, 0.4, 0.3, 0.3, 0.5, overall=0.2, weak=True, slice=str(part), because="They err more", error="an error"
    )
    monkeypatch.setattr(part_registry, "PARTS", {**part_registry.PARTS, "rule": lambda _look: found})
    mine.store.generation += 1
    app = opened("case", id=name, model="loan", section="alike")

    def press(label: str) -> None:
        pressed = next(each for each in app.button if each.label == label)
        app.text_input(key=pressed.key.replace("-send", "-author") + "-box").input("Ada")
        pressed.click().run()
        assert not app.exception

    press("Start")
    assert mine.store.catalog().model("loan").settings.slices == (str(part),)
    assert "Watched" in words(app) and "Open its results" in {each.label for each in app.button}
    report = check.check(mine.store, model="loan", start=END - timedelta(days=7), end=END)
    assert [each.evidence.get("watched") for each in report.findings if each.slice == str(part) and each.analyzer == "serving/slices"] == [
        True
    ]
    rows_ = tables(opened("slices", model="loan", span="last7"))["Watched slices and their findings"]["rows"]
    assert [each["cells"]["slice"]["t"] for each in rows_] == ["carrier = AA and size = 40.0 and above"]
    (action,) = mine.store.actions("loan", name)[:1]
    assert action.fields["do"] == "monitor_slice" and action.state == "done"
    press("Stop")
    assert mine.store.catalog().model("loan").settings.slices == ()
    assert mine.store.actions("loan", name)[0].state == "cancelled" and "Start" in {each.label for each in app.button}
    told = mine.store.events("loan", END, END + timedelta(days=3650))["text"].tolist()
    ends = ("is monitored from now on.", "is no longer monitored.")
    assert len(told) == 2 and all(each.startswith("Ada: ") and each.endswith(end) for each, end in zip(told, ends, strict=True))


SECTION_OF = {"neighbours": "label", "label_check": "label", "rule": "alike"}


@pytest.mark.parametrize("part", ["happened", "inputs", "neighbours", "rule", "triage", "label_check"])
def test_a_failing_part_of_the_case_page_does_not_stop_the_others(part: str, mine: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from observability.investigation import part_registry

    def broken(_look: object) -> None:
        raise ZeroDivisionError("for the test")

    monkeypatch.setattr(part_registry, "PARTS", {**part_registry.PARTS, part: broken})
    mine.store.generation += 1  # entries of earlier tests are not shown
    app = opened("case", id="l40", model="loan", section=SECTION_OF.get(part, "inputs"))
    assert "for the test" in words(app)
    assert [each.value for each in app.header] == TITLES[SECTION_OF.get(part, "inputs")]
    assert ("Save" in {each.label for each in app.button} and "Main inputs" in tables(app)) or part == "inputs"


def test_a_hostile_case_is_inert(mine: World, tmp_path: Path) -> None:
    long = "é" * 5000
    record = {
        "kind": "prediction", "id": '<img src=x onerror="alert(1)">', "model": HOSTILE, "version": "\u202ev=1", "at": END.isoformat(),
        "features": {"=cmd|' /C calc'!A0": "=1+1", long: long, "**bold**": "[x](https://evil.example)"}, "score": 0.5, "subject": ":red[z]",
        "received_at": END.isoformat(), "colour": "$x^2$",
    }  # fmt: skip
    from observability.store.types.loading import LoadDefaults

    path = tmp_path / "lines.jsonl"
    path.write_text(json.dumps(record), encoding="utf-8")
    assert mine.store.load_files([path], LoadDefaults()).rejected == 0
    mine.store.write_records([{"kind": "verdict", "verdict": "<v>", "model": HOSTILE, "prediction": record["id"], "author": "<b>x</b>", "source": "unknown", "note": "<script>alert(1)</script> :red[z] " + long[:3000]}])  # fmt: skip
    app = opened("case", id=record["id"], model=HOSTILE)
    shown = "\n".join(each.value for kind in ("title", "header", "markdown", "caption", "warning", "error") for each in getattr(app, kind))
    assert "<b>" not in shown.replace("\\<", "") and "<script" not in shown.replace("\\<", "") and "<img" not in shown.replace("\\<", "")
    assert "https://evil" not in shown and ":red[z]" not in shown and "$x" not in shown
    assert words(opened("cases", q=record["id"], model=HOSTILE)).count("Exact id") >= 1


def test_a_logged_text_and_an_image_are_shown_and_nothing_is_fetched(mine: World) -> None:
    text, photo = "<b>Hello</b> big :red[world] again", "https://evil.example/a.png"
    record = {"kind": "prediction", "id": "texty", "model": HOSTILE, "version": "1", "at": END.isoformat(), "received_at": END.isoformat(), "score": 0.5, "features": {"plain": "v"}}  # fmt: skip
    mine.store.write_records([record | {"text": text, "photo": photo}])
    app = opened("case", id="texty", model=HOSTILE)
    assert tables(app)["The logged text"]["text"] == text, "the logged words are set as text, not as markup"
    assert "Words are not coloured: no model file is registered" in words(app) and "it is never fetched" in words(app)
    assert [each.proto.url for each in app.get("link_button")] == [photo] and not app.get("imgs")
    shown = "".join(each.value for each in app.markdown) + "".join(each.value for each in app.caption)
    assert "<b>" not in shown.replace("\\<", "") and ":red[world]" not in shown


def test_the_lists_of_hostile_cases_are_inert_on_the_page_and_in_their_files(mine: World) -> None:
    name, wish = "=1+1 <img src=x onerror=alert(1)>", "<script>alert(2)</script> :red[z] [x](https://evil.example)"
    record = {
        "kind": "prediction", "id": name, "model": HOSTILE, "version": "1", "at": END.isoformat(), "received_at": END.isoformat(), "score": 0.5,
        "features": {"plain": "@SUM(A1)", "\u202ename": "x" * 5000}, "subject": "=s",
    }  # fmt: skip
    asked = {"kind": "action", "action": "r", "author": "=Ada", "model": HOSTILE, "prediction": name, "do": "relabel", "text": wish}
    mine.store.write_records([record, asked])
    for parameters in ({"q": 'plain = "@SUM(A1)"', "window": "Everything"}, {"q": "=s"}, {"inbox": "Relabel queue"}):
        app = opened("cases", model=HOSTILE, **parameters)
        assert not app.exception
        shown = "\n".join(
            each.value for kind in ("title", "header", "markdown", "caption", "warning", "error") for each in getattr(app, kind)
        )
        inert = shown.replace("\\<", "").replace("\\:", "").replace("\\[", "")
        assert "<script" not in inert and "<img" not in inert and ":red[" not in inert and "https://evil" not in inert
    assert name in words(opened("cases", q=name, model=HOSTILE))
    found = mine.store.search(Window(HOSTILE, START, END + timedelta(days=1)), search_terms.parse_search_terms('plain = "@SUM(A1)"'), 10)
    sheet = relabel_queue.requests_worksheet(mine.store, relabel_queue.relabel_queue(mine.store, HOSTILE), END)
    assert found["id"].tolist() == sheet["id"].tolist() == [name] and rows_kept_as_logged(sheet, "id").empty
    for table in (found, sheet):
        for row in csv.reader(StringIO(inert_csv(table))):
            assert not [cell for cell in row if cell.startswith(("=", "+", "@", "\t", "\r"))]


def test_a_case_lists_the_other_predictions_of_its_id_and_opens_the_one_that_is_selected(mine: World) -> None:
    name = wrong(mine)
    row = mine.store.row("loan", name)
    line = {"kind": "prediction", "id": name, "model": "loan", "version": "9", "environment": "shadow", "score": 0.123}
    mine.store.write_records([line | {"at": row["at"].replace(tzinfo=UTC), "features": {"size": 2.5}}])
    text = words(opened("case", id=name, model="loan"))
    own = f"version {row['version']} in production"
    assert f"{own.capitalize()}; other answers:" in text
    text = words(opened("case", id=name, model="loan", answer="shadow/9"))
    assert "Version 9 in shadow; other answers:" in text
    assert "0.123" in text
