"""A click on a download still gets its file after the page was drawn again; later the id is forgotten."""

import pytest
from streamlit.runtime.media_file_manager import MediaFileManager
from streamlit.runtime.media_file_storage import MediaFileStorageError
from streamlit.runtime.memory_media_file_storage import MemoryMediaFileStorage

from observability.dashboard import downloads


@pytest.fixture
def manager(monkeypatch: pytest.MonkeyPatch) -> MediaFileManager:
    """Streamlit's file manager with the dashboard's changes, which are undone after the test."""
    name = "_remove_orphaned_deferred_callables"
    monkeypatch.setattr(MediaFileManager, name, getattr(MediaFileManager, name))
    downloads.keep_download_ids()
    return MediaFileManager(MemoryMediaFileStorage("/media"))


def drawn(manager: MediaFileManager, content: str) -> str:
    """Draw the page once, and return the id of its download button; each run gives a new id."""
    manager.clear_session_refs("")
    found = manager.add_deferred(lambda: content, "text/csv", "0.1", "rows.csv", element_id="csv")
    manager.remove_orphaned_files()
    return found


def test_a_button_drawn_by_the_previous_run_of_the_page_still_downloads(manager: MediaFileManager) -> None:
    before = drawn(manager, "a")
    after = drawn(manager, "b")
    assert before != after and manager.execute_deferred(before).endswith(".csv")
    assert manager.execute_deferred(after) != manager.execute_deferred(before)


def test_an_old_download_expires_but_a_displayed_one_does_not(manager: MediaFileManager, monkeypatch: pytest.MonkeyPatch) -> None:
    before, after = drawn(manager, "a"), drawn(manager, "b")
    monkeypatch.setattr(downloads, "KEPT_SECONDS", -1.0)
    manager.remove_orphaned_files()
    with pytest.raises(MediaFileStorageError, match="not found"):
        manager.execute_deferred(before)
    assert manager.execute_deferred(after)
