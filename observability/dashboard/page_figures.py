"""Figures and files of pages, computed by the pages themselves. The script of a page is run without a browser, and its figures and files
are collected.

A pinned figure is therefore the figure of its page, from the same computation and with the same numbers. The page runs in a session of its
own, with the rights of the person for whom the figure is computed. Its other output is discarded, and its state is dropped.
"""

import contextvars
import logging
import secrets
import threading
from collections import OrderedDict
from collections.abc import Collection, Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from types import CodeType
from urllib.parse import urlencode

import streamlit as st
from streamlit import runtime
from streamlit.delta_generator_singletons import context_dg_stack, get_dg_singleton_instance
from streamlit.runtime.fragment import MemoryFragmentStorage
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.pages_manager import PagesManager
from streamlit.runtime.scriptrunner import RerunException, ScriptRunContext, StopException, get_script_run_ctx
from streamlit.runtime.scriptrunner_utils.script_requests import ScriptRequests, ScriptRequestType
from streamlit.runtime.scriptrunner_utils.script_run_context_attr import SCRIPT_RUN_CONTEXT_ATTR_NAME
from streamlit.runtime.state import SafeSessionState, SessionState

from observability.core.errors import NotFoundError, ObservabilityError
from observability.core.time import naive_utc
from observability.dashboard import figure_capture, links, load, sign_in
from observability.dashboard.figure_capture import AllFiguresFound, FigureCollector, PageFigure
from observability.dashboard.scope import SPANS, Scope
from observability.dashboard.state_cache import store_stamp
from observability.server.access import Person

LOG = logging.getLogger(__name__)
SHELL = Path(__file__).parent / "shell.py"
MAX_KEPT = 64
"""Maximum number of runs of pages whose figures are stored."""
MAX_RERUNS = 2
"""Maximum number of times that a page is run again because it asks for it."""


@dataclass(frozen=True)
class FigurePlace:
    """The place of figures: a page, its scope, and its own parameters (name and values)."""

    page: str
    scope: Scope
    parameters: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def query(self) -> str:
        """The query string of the page's address, with a question mark before it."""
        return urlencode({"window": SPANS[self.scope.span], **self.scope.parameters(), **dict(self.parameters)}, doseq=True)


@dataclass(frozen=True, eq=False)
class CollectedFigures:
    """The figures of one run of a page by their names. said: the reason if the page cannot draw them; else empty."""

    found: Mapping[str, PageFigure]
    said: str = ""

    def why_missing(self, key: str) -> str:
        """One or a few sentences on why a figure is missing."""
        return self.said or f"The page does not show the figure “{key}” in this scope."


def figures_of_page(place: FigurePlace, keys: Collection[str], person: Person | None = None) -> CollectedFigures:
    """Return the figures of a page with these names, without those that the page does not draw in this scope. They are stored until the
    store changes.

    person: the person whose rights count, by default the one who is signed in. If a model or page was removed or may not be seen, the
    result has the reason.
    """
    person = person or sign_in.current_person()
    with sign_in.on_behalf_of(person):
        if place.page not in links.page_files():
            return CollectedFigures({}, f"The page “{place.page}” is gone.")
        if place.page in figure_capture.WITHOUT_PINS:
            return CollectedFigures({}, f"Figures of the page “{place.page}” cannot be pinned.")
        if place.scope.model is not None and place.scope.model not in {model.name for model in load.catalog().models}:
            return CollectedFigures({}, f"The model {place.scope.model} is not in this store, or you may not see it.")
        if place.scope.model is None and links.is_model_page(place.page) and len(load.catalog().fleet) != 1:
            return CollectedFigures({}, "This figure is about one model: choose one in the bar above, or let the figure keep its own.")
        asked = (place, frozenset(keys), person, store_stamp(), load.page_clock())
        return _KEPT.find(asked) or _KEPT.keep(asked, _collected(place, keys, person))


def file_of_page(place: FigurePlace, key: str, person: Person) -> str | bytes:
    """The file that the button with this key makes on a page. Figures of small groups are left out for everybody.

    Raises NotFoundError if the page does not draw the button for such a file.
    """
    collector, person = FigureCollector((), key), replace(person, for_a_file=True)
    with sign_in.on_behalf_of(person):
        _run_until_collected(place, collector, person)
    if collector.content is None:
        why = " ".join(dict.fromkeys(collector.said)) or None
        raise NotFoundError("the page offers no such file without figures of small groups", where=place.page, got=why)
    return collector.content


def _run_until_collected(place: FigurePlace, collector: FigureCollector, person: Person) -> None:
    """Run a page, and rerun it when it asks for a rerun."""
    for _ in range(MAX_RERUNS + 1):
        if not contextvars.copy_context().run(_run_page, place, collector, person):
            break


def _collected(place: FigurePlace, keys: Collection[str], person: Person) -> CollectedFigures:
    """Run the page, and return the figures that it draws."""
    collector = FigureCollector(keys)
    try:
        _run_until_collected(place, collector, person)
    except ObservabilityError as error:
        collector.note(str(error))
    except Exception as error:
        LOG.exception("the figures of the page %s could not be computed", place.page)
        collector.note(f"The figure could not be computed ({type(error).__name__}). The log of the dashboard says more.")
    return CollectedFigures(collector.found, " ".join(dict.fromkeys(collector.said)))


def _run_page(place: FigurePlace, collector: FigureCollector, person: Person) -> bool:
    """Run the script of a page in a session of its own until its wanted figures are collected. Returns whether it asks to run again."""
    figure_capture.COLLECTOR.set(collector)
    with _session_of_its_own(place.query), sign_in.on_behalf_of(person):
        scope = place.scope
        st.navigation([st.Page(path, url_path=path.stem) for path in links.page_files().values()], position="hidden")
        times = {"from": scope.start and naive_utc(scope.start), "to": scope.end and naive_utc(scope.end)}
        part = str(scope.slice) if scope.slice else None
        st.session_state.update(
            {
                "model": scope.model,
                "version": scope.version,
                "environment": scope.environment,
                "slice": part,
                "window": SPANS[scope.span],
                **times,
            }
        )
        try:
            path = links.page_files()[place.page]
            exec(page_code(path), {"__name__": "__main__", "__file__": str(path)})  # noqa: S102 - a page of this package
        except (AllFiguresFound, StopException):
            return False
        except RerunException:
            return True
    return False


@cache
def page_code(path: Path) -> CodeType:
    """The compiled script of a page."""
    return compile(path.read_text(encoding="utf-8"), str(path), "exec")


@contextmanager
def _session_of_its_own(query: str) -> Iterator[None]:
    """Provide a session of Streamlit for this thread that is not connected to a browser. Afterwards the former session is restored."""
    thread, outer = threading.current_thread(), get_script_run_ctx(suppress_warning=True)
    session = f"figures-{secrets.token_hex(8)}"
    requests = ScriptRequests()

    def stop_where_asked(_message: object) -> None:
        """Make `st.stop` end the page: raise StopException at the message that Streamlit sends after the stop was requested."""
        asked = requests.on_scriptrunner_yield()
        if asked is not None and asked.type == ScriptRequestType.STOP:
            raise StopException

    context = ScriptRunContext(
        session_id=session,
        _enqueue=stop_where_asked,
        script_requests=requests,
        query_string=query,
        session_state=SafeSessionState(SessionState(), lambda: None),
        uploaded_file_mgr=MemoryUploadedFileManager("/none"),
        main_script_path=str(SHELL),
        user_info={},
        fragment_storage=MemoryFragmentStorage(),
        pages_manager=PagesManager(str(SHELL)),
    )
    setattr(thread, SCRIPT_RUN_CONTEXT_ATTR_NAME, context)
    try:
        context.reset(query_string=query)
        context_dg_stack.set((get_dg_singleton_instance().main_dg,))
        yield
    finally:
        setattr(thread, SCRIPT_RUN_CONTEXT_ATTR_NAME, outer)
        if runtime.exists():
            runtime.get_instance().media_file_mgr.clear_session_refs(session)
            runtime.get_instance().media_file_mgr.remove_orphaned_files()


class _KeptFigures:
    """The stored figures of the last runs of pages, by request and state of the store."""

    def __init__(self) -> None:
        self._kept, self._lock = OrderedDict[Hashable, CollectedFigures](), threading.Lock()

    def find(self, asked: Hashable) -> CollectedFigures | None:
        """Return the stored figures of an equal request; None if there are none."""
        with self._lock:
            return self._kept.get(asked)

    def keep(self, asked: Hashable, found: CollectedFigures) -> CollectedFigures:
        """Store the figures of a request, drop the oldest ones, and return the figures."""
        with self._lock:
            self._kept[asked] = found
            while len(self._kept) > MAX_KEPT:
                self._kept.popitem(last=False)
        return found


_KEPT = _KeptFigures()


def place_in_scope(place: FigurePlace, scope: Scope, follows: str) -> FigurePlace:
    """Return the place of a figure within the scope of a dashboard. follows: `dashboard` takes over the whole scope, `dates` only the time
    range, `none` nothing.
    """
    if follows == "none":
        return place
    if follows == "dates":
        return replace(place, scope=replace(place.scope, span=scope.span, start=scope.start, end=scope.end))
    return replace(place, scope=scope)
