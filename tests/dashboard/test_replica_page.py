"""A page of a read-only process states the time of its data and whether a save succeeded."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest
from streamlit.testing.v1 import AppTest

from observability.core.errors import UsageError
from observability.core.window import EPOCH
from observability.dashboard import replica_line
from observability.dashboard.lab.job import LAB
from observability.dashboard.operations import intake
from observability.dashboard.sign_in import require_of_person
from observability.server import process_lock
from observability.server.replica import Replica
from observability.store.published import publish_state
from observability.store.published_store import take_home
from tests.support.new_store import new_store
from tests.support.owner_in_process import CallsOfTest

if TYPE_CHECKING:
    from streamlit.runtime.uploaded_file_manager import UploadedFile

SHELL = Path(__file__).parents[2] / "observability" / "dashboard" / "shell.py"


@pytest.fixture
def reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Replica]:
    """A process that reads the published state of a store; the store has one event."""
    monkeypatch.setattr(process_lock, "_current", None)
    with new_store(tmp_path / "home") as store:
        store.write_records([{"kind": "event", "at": datetime(2026, 11, 1, tzinfo=UTC), "what": "note", "text": "a"}])
        (store.home / "keeping.toml").write_text("[publish]\nevery = 15\n")
        publish_state(store, "run")
        take_home(tmp_path / "reader")
        found = Replica(tmp_path / "home" / "published", tmp_path / "reader", CallsOfTest(store))
        found.owner.told = replica_line.note_saved_at_owner
        process_lock.stand_for_owner(cast("process_lock.Owner", found))
        yield found
        found.close()


def line() -> None:
    """The script of a page that draws only the line of a read-only process."""
    from observability.dashboard.replica_line import draw_replica_line

    draw_replica_line("drift")


def test_the_replica_line_shows_the_lag_and_warns_if_no_newer_state_arrives(reads: Replica) -> None:
    test = AppTest.from_function(line)
    test.query_params["model"] = "a b"
    reads.as_of = datetime.now(UTC)
    (caption,) = test.run().caption
    assert f"Data as of {reads.as_of:%H:%M} UTC, " in caption.value
    assert "behind." in caption.value
    assert "(http://owner:8501/drift?model=a+b)" in caption.value
    reads.as_of -= timedelta(minutes=5)
    assert "The owner publishes nothing newer." in test.run().caption[0].value
    reads.failure = "the published state is of another version."
    assert "cannot be shown: the published state is of another version" in test.run().caption[0].value


def test_a_pending_save_is_announced_until_it_appears_on_the_replica(reads: Replica) -> None:
    test = AppTest.from_function(line)
    test.session_state[replica_line.SAVED] = reads.as_of + timedelta(seconds=5)
    (told,) = test.run().info
    assert told.value == "Saved at the owner. It shows here with the next state."
    reads.as_of += timedelta(seconds=6)
    assert not test.run().info
    assert replica_line.SAVED not in test.session_state


def saving() -> None:
    """The script of a page on which a person saves a record."""
    import streamlit as st

    from observability.dashboard.replica_line import draw_replica_line
    from observability.dashboard.widgets import save_records

    draw_replica_line("drift")
    what = st.text_input("What", "note")
    if st.button("Save") and save_records([{"kind": "event", "what": what, "text": "saved"}], "Not saved"):
        st.rerun()


def test_a_save_on_a_replica_is_written_at_the_owner_and_announced(reads: Replica) -> None:
    owner = cast("CallsOfTest", reads.owner).store
    test = AppTest.from_function(saving).run()
    test.button[0].click().run()
    assert sorted(owner.events(None, EPOCH, datetime(2030, 1, 1, tzinfo=UTC))["text"]) == ["a", "saved"]
    assert test.info[0].value.startswith("Saved at the owner.")
    publish_state(owner, "run")
    reads.look()
    assert not test.run().info
    assert sorted(reads.store.events(None, EPOCH, datetime(2030, 1, 1, tzinfo=UTC))["text"]) == ["a", "saved"]
    test.text_input[0].set_value("no such word")
    test.button[0].click().run()
    assert "The owner of the store refused it" in test.error[0].value
    assert not test.info


def test_a_replica_shows_a_whole_page(reads: Replica) -> None:
    test = AppTest.from_file(str(SHELL), default_timeout=120)
    test.run()
    assert not test.exception
    assert any("Data as of" in caption.value for caption in test.caption)


def alert_channels() -> None:
    """The script of a page with the settings of checks, the alert channels and the form that changes them."""
    from observability.dashboard.operations import alerts, alerts_settings

    alerts.watcher_note()
    alerts.channels_section()
    alerts_settings.alert_settings_form()


def test_a_replica_does_not_report_checks_and_channels_as_missing(reads: Replica) -> None:
    test = AppTest.from_function(alert_channels).run()
    assert not test.exception
    (checks, told) = test.caption
    assert checks.value == "Models are checked at the owner of the store. [Open this page there](http://owner:8501/alerts)"
    assert told.value == "Channels are set at the owner of the store. [Open this page there](http://owner:8501/alerts)"
    assert not test.expander


def freezing() -> None:
    """The script of a page that freezes a week."""
    from observability.core.weeks import Week
    from observability.dashboard.review import review

    review._freeze_with_progress(Week.parse("2026-W44"), "ann")


def test_a_week_is_frozen_at_the_owner(reads: Replica) -> None:
    test = AppTest.from_function(freezing).run(timeout=30)
    assert not test.exception
    (told,) = test.caption
    assert told.value == "Weeks are frozen at the owner of the store. [Open this page there](http://owner:8501/review)"
    assert cast("CallsOfTest", reads.owner).sent == 0


def starting_a_job() -> None:
    """The script of a page that starts a job which takes minutes."""
    from observability.dashboard.lab.job import LAB

    LAB.start("fault", "a fault", lambda note: None)


def test_a_replica_refers_long_jobs_and_uploads_to_the_owner(reads: Replica) -> None:
    test = AppTest.from_function(starting_a_job).run(timeout=30)
    assert not test.exception
    assert "done at the owner of the store" in test.error[0].value
    assert LAB.job is None
    with pytest.raises(UsageError, match="done at the owner"):
        intake.keep_upload(cast("UploadedFile", SimpleNamespace(name="a.csv")))
    assert not (reads.home / "uploads").exists()
    (reads.home / "tmp" / "lab").mkdir()
    (reads.home / "made-here.json").write_text("{}")
    publish_state(cast("CallsOfTest", reads.owner).store, "another run")
    reads.look()
    assert reads.failure is None
    assert (reads.home / "tmp" / "lab").exists()
    assert (reads.home / "made-here.json").exists()


def note_on_unexplained_rows() -> None:
    """The script of a page with the note on predictions that are not explained yet."""
    from types import SimpleNamespace
    from typing import cast

    from observability.dashboard.frame import ModelPage
    from observability.dashboard.trust.explain_now import unexplained_note
    from observability.dashboard.trust.explanations import ExplanationView

    now = SimpleNamespace(served=10, explained=0, days=0, served_days=1)
    view = SimpleNamespace(now=now, state=None, before=None, version=SimpleNamespace(name="1", artifact="model.txt"))
    unexplained_note(cast("ModelPage", None), cast("ExplanationView", view))


def test_predictions_are_explained_at_the_owner(reads: Replica) -> None:
    test = AppTest.from_function(note_on_unexplained_rows).run()
    assert not test.exception
    assert not test.button
    assert "Predictions are explained at the owner of the store." in test.caption[-1].value


def labelling_desk() -> None:
    """The script of a page on which people label items."""
    from typing import Any

    from observability.dashboard.data import annotate

    board: Any = None  # the content of the board is not checked
    annotate.annotation_desk(board, board, board)
    annotate.assignment_form(board)


def test_items_are_labelled_at_the_owner(reads: Replica) -> None:
    test = AppTest.from_function(labelling_desk).run(timeout=30)
    assert not test.exception
    (told,) = test.caption
    assert told.value == "Items are labelled at the owner of the store. [Open this page there](http://owner:8501/annotate)"
    assert not test.button


def new_dashboard() -> None:
    """The script of a page that lists the dashboards."""
    from observability.dashboard.boards import board_list
    from observability.dashboard.replica_line import draw_replica_line
    from observability.dashboard.scope import Scope

    draw_replica_line("dashboards")
    board_list._new_board_form(Scope())


def test_a_dashboard_created_on_a_replica_is_announced_as_pending(reads: Replica) -> None:
    test = AppTest.from_function(new_dashboard, default_timeout=30)
    test.session_state["person"] = "ann"
    test.run()
    assert not test.exception
    for box in test.text_input:
        box.set_value("Mine" if box.key == "board-name" else "ann")
    test.run()
    test.button(key="board-create").click().run()
    assert not test.exception
    assert [each.fields["name"] for each in cast("CallsOfTest", reads.owner).store.dashboards()] == ["Mine"]
    assert any(told.value.startswith("Saved at the owner.") for told in test.info)


def test_a_replica_refers_settings_changes_to_the_owner(reads: Replica) -> None:
    with pytest.raises(UsageError, match="Open http://owner:8501"):
        require_of_person("settings")
