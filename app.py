"""Entry point of the dashboard: `streamlit run app.py` (`make run` also installs what it needs).

Imported once per process. Opens the store, or the states of the store that its owner process publishes, then builds the application around
the script that each browser session reruns.
"""

import os
import sys

os.environ.setdefault("DO_NOT_TRACK", "1")

import streamlit as st

from observability.core.errors import ObservabilityError
from observability.dashboard import application
from observability.server import process_lock, replica
from observability.server.access_settings import read_access_settings, require_auth_packages
from observability.server.request_origin import require_safe_binding

try:
    if replica.replica_is_asked_for():
        replica.start_replica()
    settings = read_access_settings(process_lock.home_folder())
    require_safe_binding(st.get_option("server.address"), settings)
    require_auth_packages(settings)
    if not replica.replica_is_asked_for():
        process_lock.own_home(process_lock.home_folder())
except ObservabilityError as error:
    print(error, file=sys.stderr)
    sys.stderr.flush()
    os._exit(error.exit_code)

# Streamlit finds the application by searching this file for a call of `st.App`.
app = st.App(str(application.SHELL), **application.app_parts())
