"""An exported case is frozen, runs no script, is masked, and states the same evidence as the page."""

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from observability.export import case as export_case
from observability.export.case import FrozenCase
from observability.investigation.case import case
from observability.investigation.evidence_types import Condition, ErrorRule, Triage
from observability.investigation.explanation_sentences import explanation_sentences
from observability.investigation.model_answers import AttributionContrast, Bar
from observability.store.db.database import Database
from observability.store.types.loading import LoadDefaults
from tests.support.dashboard_world import END, HOSTILE, World, build
from tests.support.html_rules import invalid

NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)
ATTACK = '<img src=x onerror="alert(1)">'
LONG = "é" * 5000


class Tags(HTMLParser):
    """A parser that collects every tag with its attributes, and all texts."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """The small world with a hostile prediction in it, and verdicts."""
    world: World = build(tmp_path_factory.mktemp("export"))
    record = {
        "kind": "prediction",
        "id": ATTACK,
        "model": HOSTILE,
        "version": "=1+1",
        "at": END.isoformat(),
        "score": 0.5,
        "subject": "ab12",
        "features": {"=cmd|' /C calc'!A0": "</td><script>alert(1)</script>", LONG: LONG, "\u202egnp": "@SUM(A1)"},
        "received_at": END.isoformat(),
    }
    path: Path = world.store.home / "hostile.jsonl"
    path.write_text(json.dumps(record), encoding="utf-8")
    assert world.store.load_files([path], LoadDefaults()).rejected == 0
    entry = {
        "kind": "verdict",
        "verdict": "v",
        "model": HOSTILE,
        "prediction": ATTACK,
        "author": "<b>Ada</b>",
        "source": "input",
        "wrong": "yes",
        "note": '=HYPERLINK("x") <script>alert(2)</script>',
    }
    tried = {
        "kind": "what_if",
        "what_if": "w",
        "author": "<i>Ada</i>",
        "model": HOSTILE,
        "prediction": ATTACK,
        "score": 0.4,
        "before": 0.5,
        "changes": {"=cmd|' /C calc'!A0": "[x](javascript:alert(3))"},
        "note": "=1+1 @channel https://evil.example",
    }
    asked = {
        "kind": "action",
        "action": "a",
        "author": "=Ada",
        "model": HOSTILE,
        "prediction": ATTACK,
        "do": "monitor_slice",
        "text": "Watch where sex is F: <img src=y onerror=alert(4)>",
        "slice": "sex=F",
        "state": "done",
    }
    world.store.write_records([entry, tried, asked])
    yield world.store
    world.store.close()


def frozen(
    store: Database, prediction: str, model: str, masked: frozenset[str] | None = None, contrast: AttributionContrast | None = None
) -> FrozenCase:
    found = case(store, prediction, model=model)
    hidden = export_case.masked_names(found.row.model) if masked is None else masked
    people = store.verdicts(model, prediction), store.actions(model, prediction)
    return FrozenCase(found, contrast, *people, NOW, hidden, store.what_ifs(model, prediction))


def read(page: str) -> Tags:
    found = Tags()
    found.feed(page)
    return found


@pytest.mark.parametrize(("prediction", "model"), [("l40", "loan"), ("p40", "price"), (ATTACK, HOSTILE), ("h3", HOSTILE)])
def test_a_case_file_contains_no_active_content_and_loads_nothing(store: Database, prediction: str, model: str) -> None:
    page = export_case.case_html(frozen(store, prediction, model))
    assert invalid(page) == []
    tags = read(page).tags
    assert not {name for name, _ in tags} & {"script", "img", "iframe", "object", "embed", "link", "form", "input", "a", "base"}
    assert [name for name, _ in tags].count("meta") == 2
    for name, attributes in tags:
        assert not [each for each in attributes if each.startswith("on") or each in ("src", "href", "action")], name
    assert "url(" not in page and "@import" not in page and "Frozen on 20 Mar 2026 12:00 UTC" in page
    assert "overflow-wrap: anywhere" in page, "a name of 5,000 characters does not widen the page"


def test_text_direction_marks_in_names_are_escaped(store: Database) -> None:
    turning = set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
    made = frozen(store, ATTACK, HOSTILE, frozenset())
    assert any("\u202e" in name for name in made.case.row.features)
    page, ticket = export_case.case_html(made), export_case.case_markdown(made, "http://here/case?id=x")
    assert not turning & set(page) and "\\u202egnp" in page
    assert not turning & set(ticket) and "<http://here/case?id=x>" in ticket


def test_a_case_file_contains_the_sentences_of_the_evidence(store: Database) -> None:
    made = frozen(store, "l40", "loan", frozenset())
    text = " ".join(" ".join(read(export_case.case_html(made)).text).split())
    assert made.case.happened and made.case.happened.sentence in text
    for each in made.case.inputs or ():
        assert each.feature in text and export_case.value_text(each.value) in text
    for each in made.case.neighbours or ():
        assert each.id in text
    for each in made.case.triage or ():
        assert each.because in text


def test_sensitive_values_and_the_subject_are_masked_unless_chosen(store: Database) -> None:
    bars = (Bar("sex", "F", 0.4), Bar("size", 51.0, -0.1))
    contrast = AttributionContrast(
        "average",
        "the reference",
        100,
        0.0,
        0.3,
        0.0,
        True,
        "identity",
        bars,
        "exact",
        "computed",
        words=explanation_sentences(bars, 0.0, 0.3, "identity", "the average"),
    )
    raw = frozen(store, "l40", "loan", frozenset(), contrast)
    assert "sex = F" in export_case.case_html(raw) and "Nothing is masked" in export_case.case_html(raw)
    hidden = frozen(store, "l40", "loan", contrast=contrast)
    page, table = export_case.case_html(hidden), export_case.case_csv(hidden)
    assert "sex = F" not in page and "sex is F" not in page and "sex = masked" in page and "Masked: sex, subject" in page
    row = next(each for each in csv.reader(io.StringIO(table)) if each[:2] == ["input", "sex"])
    assert row[2] == "masked" and row[3] == "masked."


def test_no_file_contains_anything_that_depends_on_a_masked_value(store: Database) -> None:
    made = frozen(store, "l40", "loan", frozenset({"age", "sex", "subject"}))
    given = made.case.inputs or ()
    odd = tuple(replace(each, flags=("out_of_range",)) if each.feature == "age" else each for each in given)
    because = next(each.because for each in odd if each.feature == "age")
    triage = (
        Triage("input", 0.7, f"age (out_of_range): {because}"),
        Triage("far_from_reference", 0.5, "0.3 % lie as far; it is outside of the reference in age, size: 30 % are errors."),
    )
    made = replace(made, case=replace(made.case, inputs=odd, triage=triage))
    for file in (export_case.case_html(made), export_case.case_csv(made), export_case.case_markdown(made)):
        text = " ".join(" ".join(read(file).text).split())
        assert because not in text
        assert "out_of_range" not in text
        assert "reference in age" not in text
        assert "reference in a masked column, size" in text
    rows = [each for each in csv.reader(io.StringIO(export_case.case_csv(made))) if each[:2] == ["input", "age"]]
    assert rows == [["input", "age", "masked", "masked."]]


def test_the_subject_is_masked_unless_chosen(store: Database) -> None:
    assert "ab12" not in export_case.case_html(frozen(store, ATTACK, HOSTILE))
    assert "ab12" in export_case.case_html(frozen(store, ATTACK, HOSTILE, frozenset()))


def test_a_rule_that_would_reveal_a_masked_value_is_shown_without_its_conditions(store: Database) -> None:
    rule = ErrorRule(
        "sex is F and age is 3 or more",
        50,
        20,
        0.4,
        0.2,
        0.3,
        0.5,
        conditions=(Condition("feature.sex", "sex is F", ("F",)),),
        slice="sex=F",
        because="Of 50 like this (sex is F and age is 3 or more), 20 are errors.",
    )
    shown = export_case.shown_rule(rule, {"sex"})
    assert shown and "sex is F" not in shown.because + shown.text and shown.slice is None and shown.n == 50
    assert export_case.shown_rule(rule, set()) is rule
    assert export_case.shown_rule(replace(rule, n=9), set()) is None, "a rule about nine rows may reveal single people"


def test_a_file_says_that_a_rule_about_few_rows_is_left_out(store: Database) -> None:
    case = frozen(store, ATTACK, HOSTILE, frozenset())
    rule = ErrorRule("age is 3 or more", 9, 4, 0.4, 0.2, 0.3, 0.5, because="Of 9 like this (age is 3 or more), 4 are errors.")
    few = replace(case, case=replace(case.case, rule=rule))
    for text in (export_case.case_html(few), export_case.case_csv(few), export_case.case_markdown(few)):
        assert export_case.SMALL_RULE in text and rule.text not in text


def test_the_csv_holds_no_formula(store: Database) -> None:
    rows = list(csv.reader(io.StringIO(export_case.case_csv(frozen(store, ATTACK, HOSTILE, frozenset())))))
    assert rows[0] == ["section", "name", "value", "words"]
    assert {each[0] for each in rows} >= {"fact", "input", "triage", "verdict", "action", "what_if"}
    for row in rows:
        for cell in row:
            assert not cell.startswith(("=", "+", "@", "\t", "\r")), cell[:80]
    assert any(each[1].startswith("'=cmd|") for each in rows)


def test_case_markdown_is_plain_text_and_case_json_round_trips(store: Database) -> None:
    made = frozen(store, ATTACK, HOSTILE, frozenset())
    ticket = export_case.case_markdown(made, "http://localhost/case?id=1")
    drawn = MarkdownIt("commonmark").render(ticket)
    tags = read(drawn).tags
    assert {name for name, _ in tags} <= {"p", "strong", "ul", "li", "a", "code", "em"}, tags
    assert [attributes["href"] for name, attributes in tags if name == "a"] == ["http://localhost/case?id=1"], (
        "only the product's own address is a link"
    )
    assert "https://evil" not in ticket and "@channel" not in ticket and ATTACK not in ticket and "\n#" not in ticket
    body = json.loads(json.dumps(made.case.to_json()))
    assert body["prediction"]["id"] == ATTACK and body["prediction"]["features"][LONG] == LONG


def test_a_watched_slice_of_a_masked_column_is_masked_in_every_file(store: Database) -> None:
    masked = frozen(store, ATTACK, HOSTILE, frozenset({"sex", "=cmd|' /C calc'!A0"}))
    for file in (export_case.case_html(masked), export_case.case_csv(masked), export_case.case_markdown(masked)):
        assert "sex is F" not in file and "sex=F" not in file and "javascript" not in file
    shown = frozen(store, ATTACK, HOSTILE, frozenset())
    assert "sex is F" in export_case.case_html(shown) and "sex is F" in export_case.case_csv(shown)


def test_the_waterfall_drawn_ends_at_the_output(store: Database) -> None:
    bars = tuple(Bar(f"<f{place}>", 1.0, value) for place, value in enumerate([0.5, -0.3, 0.2, 0.1, -0.1, 0.05, 0.04, 0.03, 0.02, 0.01]))
    output = sum(each.attribution for each in bars)
    contrast = AttributionContrast(
        "average", "the reference", 100, 0.0, output, 0.0, True, "identity", bars, "exact", "computed", words=("Words.",)
    )
    drawn = export_case.attribution_drawing(contrast)
    assert drawn.count("<rect") == 9 and "2 others" in drawn and f"{output:.3g}" in drawn and "&lt;f0&gt;" in drawn and "<f0>" not in drawn
    from dataclasses import replace

    assert export_case.attribution_drawing(replace(contrast, adds_up=False)) == ""


@pytest.mark.parametrize("name", [ATTACK, "../../etc/passwd", "é" * 5000, "a b", "\u202egnp.exe"])
def test_file_names_are_plain(name: str) -> None:
    made = export_case.case_file_name(name, NOW)
    assert made.isascii() and len(made) < 90 and not set(made) & set('/\\<>:"|?* .')
