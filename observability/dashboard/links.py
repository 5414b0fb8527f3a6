"""Links between pages, which keep the scope.

Pages are named after their file. Their addresses are flat (`/drift`), and the health page is `/`. Every link is made here: it has a
relative address for a new tab, and a target that the app opens without a reload.
"""

import ast
import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import streamlit as st
from streamlit.errors import StreamlitAPIException
from streamlit.runtime.scriptrunner import get_script_run_ctx

from observability.core.bundle import bundle_folder
from observability.core.finding import Finding
from observability.core.formatting import truncate
from observability.core.window import Window
from observability.dashboard.scope import KEYS, SPANS, TIME_KEYS, Scope, parse_instant

PAGES = bundle_folder() / "pages"
DEFAULT_PAGE = "health"
HOME = "home"
"""The parameter of an address that asks for Home. Without it, the bare address may open another view (dashboard/start_page.py)."""
ONLY = "only"
"""The parameter of an address that opens one figure of a page alone (dashboard/single_figure.py)."""
BOUND_KEYS = ("feature", "by", "severity", "q", "inbox", "order", "trace")
OWN_KEYS = (
    *BOUND_KEYS,
    *("analyzer", "subject", "metric", "finding", "attribute", "crossed", "b_from", "b_to", "b_version"),
    *("b_slice", "run", "study", "phase", "challenger", "champion", "smooth", "axis", "log", "cell", "id", "answer", "review", "step"),
    *("item", "words", "incident", "fault", "strength", "days", "rows", "delay", "seed"),
    *("what_if", "source", "batch", "rule", "dataset", "version_of_data", "project", "annotator", "confidence", "section", "beside"),
    *("column", "group", "sql"),
    *("device", "measure", "thing", "dashboard", "augmentation", "place", "color", "space", "probes"),
)
"""Parameters of single pages besides the scope: those of bound boxes, and those that pages write themselves."""
SHOWN_BESIDE = {"serving/call_drift": "vendors", "serving/device_agreement": "edge_fleet"}
"""Analyzers that have no page of their own name, with the page of another analyzer that also shows their findings."""


@cache
def page_files() -> dict[str, Path]:
    """Return every page by its name: pages/<section>/<name>.py. Names are unique. Pages for developers are included only in
    developer mode.
    """
    hidden = () if os.environ.get("OBSERVABILITY_DEVELOPER") == "1" else ("developer",)
    return {path.stem: path for path in sorted(PAGES.glob("*/*.py")) if path.parent.name not in hidden}


@cache
def page_description(path: Path) -> tuple[str, str, str]:
    """Return title, icon and help of a page, which are read from its docstring: the first line is `title :material/icon:`, the rest is the
    help.
    """
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or path.stem.replace("_", " ").capitalize()
    first, _, rest = text.partition("\n")
    title, _, icon = first.partition(" :material/")
    return title.strip(), f":material/{icon.strip()}" if icon else ":material/monitoring:", " ".join(rest.split())


@cache
def is_model_page(page: str) -> bool:
    """Return whether a page is about one model, which is the case if it calls `frame.begin_model_page`."""
    path = page_files().get(page)
    return path is not None and "begin_model_page(" in path.read_text(encoding="utf-8")


def assumed_model_note(page: str, model: str) -> str | None:
    """Return a sentence on the model that a page shows although the reader did not choose it: why it is shown, and how to change it. None
    if the reader chose it.
    """
    assumed = st.session_state.get("assumed")
    if assumed is None or assumed[:2] != (page, model):
        return None
    return f"This page is about one model: {model} is {assumed[2]}. Choose another in the bar above."


def page_address(page: str, scope: Scope | None = None, **own: str | None) -> str:
    """Return the relative address of a page with its scope, such as `./drift?model=loan&feature=age`."""
    parameters = {**(scope.parameters() if scope else {}), **{key: value for key, value in own.items() if value}}
    path = f"./{page}"
    if page == DEFAULT_PAGE:
        path, parameters = "./", parameters or {HOME: "1"}
    return path + (f"?{urlencode(parameters, quote_via=quote)}" if parameters else "")


def page_button(page: str, label: str | None = None, query_params: Mapping[str, Any] | None = None) -> None:
    """Draw a link to a page with an arrow. label: by default the page's title."""
    path = page_files()[page]
    words = label or page_description(path)[0]
    st.page_link(str(path), label=words, icon=":material/arrow_forward:", icon_position="right", query_params=dict(query_params or {}))


def link_cell(text: str, page: str, scope: Scope | None = None, **own: str | None) -> dict[str, Any]:
    """Return the part of a table cell (observability/dashboard/table.py) that links to a page."""
    parameters = {**(scope.parameters() if scope else {}), **{key: value for key, value in own.items() if value}}
    return {"t": text, "href": page_address(page, scope, **own), "go": {"page": page, "parameters": parameters}}


def case_link(text: str, prediction: str, model: str, scope: Scope | None = None, answer: str | None = None, **own: str) -> dict[str, Any]:
    """Return the link to the case of a prediction. scope: kept for the way back. answer: selects one of several predictions with the id,
    such as `shadow/2`. own: further parameters, such as `section`.
    """
    return link_cell(truncate(text), "case", (scope or Scope()).about(model), id=prediction, answer=answer, **own)


def permanent_case_address(prediction: str, model: str, **own: str) -> str:
    """Return the full address of a case, which depends only on the prediction and the parameters `own`."""
    return f"{dashboard_root(st.context.url or '')}/case?{urlencode({'id': prediction, 'model': model, **own}, quote_via=quote)}"


def remember_page(page: str) -> None:
    """Store the current page and its parameters, for the way back from a case."""
    if page != "case":
        st.session_state["came-from"] = {"page": page or DEFAULT_PAGE, "parameters": dict(st.query_params)}


def forget_choices_on_back() -> None:
    """Drop the contents of the boxes if the reader went back or forward in the browser, because the address then holds the contents for the
    page.

    Streamlit restores the content of a box only when the box is drawn, which is after pages have read it.
    """
    context = get_script_run_ctx()
    if context is not None and context.is_history_navigation:
        for key in BOUND_KEYS:
            st.session_state.pop(key, None)


def previous_page() -> dict[str, Any]:
    """Return the page before the case as a target of `follow_link`; if it is unknown, the page Cases."""
    target: dict[str, Any] = st.session_state.get("came-from") or {"page": "cases", "parameters": {}}
    return target


def absolute_address(page: str, scope: Scope, window: Window | None, own: Mapping[str, list[str]]) -> str:
    """The address of a copied link, with every parameter and absolute times.

    A page about the fleet has no single window, so its link has the relative window.
    """
    fixed = scope.at(window.start, window.end) if window else scope
    parameters = {"window": SPANS[fixed.span], **fixed.parameters(), **own}
    path = "" if page == DEFAULT_PAGE else page
    return f"{dashboard_root(st.context.url or '')}/{path}?{urlencode(parameters, quote_via=quote, doseq=True)}"


def dashboard_root(url: str) -> str:
    """Return the address of the dashboard, derived from the address of a page as reported by Streamlit.

    Streamlit cuts off the first page name that ends the address, such as `model` of `add_model`, and appends the name of the page to the
    rest (`/add_/add_model`). This function also cuts off that rest (`add_`).
    """
    here = url.split("?", maxsplit=1)[0].rstrip("/")
    page = next((name for name in page_files() if here.endswith(f"/{name}")), None)
    here = here.removesuffix(f"/{page}")
    rests = {str(page).removesuffix(other) for other in page_files() if other != page and str(page).endswith(other)}
    return next((here.removesuffix(f"/{rest}") for rest in rests if here.endswith(f"/{rest}")), here)


def follow_link(target: dict[str, Any]) -> None:
    """Follow the target of a link: set the bound widgets and switch to the page. Unknown parameters and pages are ignored."""
    parameters = target.get("parameters") or {}
    path = page_files().get(str(target.get("page")))
    if path is None:
        return
    st.session_state.pop("unread", None)
    for key in (*KEYS, *BOUND_KEYS):
        value = parameters.get(key)
        if key in ("from", "to"):
            st.session_state[key] = parse_instant(value) if value else None
        elif key == "window":
            st.session_state[key] = value or SPANS["7d"]
        elif value is not None or key in KEYS:
            st.session_state[key] = value
    own = {key: str(parameters[key]) for key in (*TIME_KEYS, *OWN_KEYS) if parameters.get(key)}
    try:
        st.switch_page(str(path), query_params=own)
    except StreamlitAPIException:  # the page stays the same, and its boxes, which are bound to these parameters, are already set
        st.switch_page(str(path), query_params={key: value for key, value in own.items() if key not in BOUND_KEYS})


def analyzer_page(analyzer: str) -> str | None:
    """Return the page that shows an analyzer's findings: the page of its name, or the page of another analyzer (SHOWN_BESIDE); None if
    there is none.
    """
    page = SHOWN_BESIDE.get(analyzer, analyzer.rpartition("/")[2])
    return page if page in page_files() else None


def finding_link(finding: Finding, scope: Scope, text: str) -> dict[str, Any]:
    """Return the link to the page that shows a finding; if there is none, to the findings page."""
    page = analyzer_page(finding.analyzer) or "findings"
    if page == "runs":
        page = "distributed" if "/rank:" in finding.subject else "studies" if finding.subject.startswith("study:") else page
    return link_cell(text, page, scope.about(finding.model), **finding_parameters(finding, page))


def finding_parameters(finding: Finding, page: str) -> dict[str, str]:
    """Parameters, besides the scope, with which a page shows the subject of a finding."""
    subject = finding.subject
    if page in ("drift", "quality", "explanations"):
        return {} if subject in ("model", "score") else {"feature": subject}
    if page in ("performance", "estimated_performance"):
        return {"metric": finding.metric}
    if page == "fairness":
        return {"attribute": subject.partition("=")[0]}
    if page == "studies" and "augmentation" in finding.evidence:
        return {"augmentation": f"{finding.model} {finding.version} {finding.evidence['augmentation']}"}
    if page == "studies":
        return {"study": subject.removeprefix("study:")}
    if page in ("runs", "distributed") and subject.startswith("run:"):
        return {"run": subject.removeprefix("run:").partition("/rank:")[0].partition("/device:")[0]}
    if page == "batches":
        return {"source": subject.removeprefix("source:").partition("/device:")[0]}
    if page == "edge_fleet":
        return {"by": str(finding.evidence["group"])} if finding.evidence.get("group") else {}
    if page == "storage":
        return {"place": subject.removeprefix("place:")}
    if page == "controllers":
        return {"controller": finding.model or ""}
    if page == "trade_offs":
        return {"forms": f"{finding.model} {finding.version}"} | ({"form": str(finding.evidence["form"])} if finding.slice else {})
    if page == "devices":
        return {"device": subject} if "/device:" in subject else {}
    if page == "datasets":
        return {"dataset": subject.removeprefix("dataset:"), "version_of_data": str(finding.evidence.get("dataset_version") or "")}
    if page == "batch_gate":
        return {"batch": subject.removeprefix("batch=")}
    if page == "vendors" and subject.startswith("probes:"):
        return {"probes": f"{finding.model}/{subject.removeprefix('probes:')}"}
    if page == "cleaning":
        return {"rule": subject} if "rule:" in subject else {"dataset": subject.removeprefix("dataset:")}
    if page == "labelling":
        project, _, person = subject.removeprefix("project:").partition("/annotator:")
        return {"project": project.partition("/guideline:")[0]} | ({"annotator": person} if person else {})
    return {}
