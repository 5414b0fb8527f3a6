"""Keep downloads valid while their page reruns.

A download is made on click, by an id that the button was drawn with. Each run of the page draws the button with another id, and Streamlit
drops the old one as soon as any run ends, so a click in between fails silently. With this module, an id is dropped only after a while.
"""

import time

from streamlit.runtime.media_file_manager import MediaFileManager

KEPT_SECONDS = 60.0
"""How long an id still works after the page was drawn with a new one."""


def keep_download_ids() -> None:
    """Replace Streamlit's method that drops ids, for this process."""
    out_of_use: dict[str, float] = {}

    def forget(self: MediaFileManager) -> None:
        """Drop ids that have been out of use for a while; Streamlit calls it while holding its lock."""
        drawn = {file_id for files in self._files_by_session_and_coord.values() for file_id in files.values()}
        now = time.monotonic()
        for file_id in list(self._deferred_callables):
            if file_id in drawn:
                out_of_use.pop(file_id, None)
            elif now - out_of_use.setdefault(file_id, now) > KEPT_SECONDS:
                self._drop_deferred_id(file_id)
        for file_id in out_of_use.keys() - self._deferred_callables.keys():
            del out_of_use[file_id]

    # Streamlit has no setting for it; the version is pinned, and tests/dashboard/test_downloads.py fails where the method differs.
    MediaFileManager._remove_orphaned_deferred_callables = forget  # type: ignore[method-assign]
