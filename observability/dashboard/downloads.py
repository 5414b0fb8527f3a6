"""Keeps downloads valid while their page reruns.

A download is made on click, by an id that the button was drawn with. Each run of the page draws the button with another id, and Streamlit
drops the old id as soon as any run ends. A click in between therefore fails silently. With this module, an id is dropped only after a
while.
"""

import time

from streamlit.runtime.media_file_manager import MediaFileManager

KEPT_SECONDS = 60.0
"""Number of seconds for which an id still works after the page was drawn with a new one."""


def keep_download_ids() -> None:
    """Replace Streamlit's method that drops ids with one that drops them later, for this process."""
    out_of_use: dict[str, float] = {}

    def forget(self: MediaFileManager) -> None:
        """Drop the ids that have been out of use for a while. Streamlit calls this function while it holds its lock."""
        drawn = {file_id for files in self._files_by_session_and_coord.values() for file_id in files.values()}
        now = time.monotonic()
        for file_id in list(self._deferred_callables):
            if file_id in drawn:
                out_of_use.pop(file_id, None)
            elif now - out_of_use.setdefault(file_id, now) > KEPT_SECONDS:
                self._drop_deferred_id(file_id)
        for file_id in out_of_use.keys() - self._deferred_callables.keys():
            del out_of_use[file_id]

    # Streamlit has no setting for this. Its version is pinned, and tests/dashboard/test_downloads.py fails if the method changes.
    MediaFileManager._remove_orphaned_deferred_callables = forget  # type: ignore[method-assign]
