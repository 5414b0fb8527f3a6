"""Start here: `streamlit run app.py` serves the dashboard (`make run` does it with everything it needs).

Imported once. Takes the store, then builds the application around the script that each browser session reruns.
"""

import os
import sys
from pathlib import Path

os.environ.setdefault("DO_NOT_TRACK", "1")

import streamlit as st

from observability.core.errors import ObservabilityError
from observability.dashboard import application
from observability.server import process_lock

try:
    process_lock.own(process_lock.home_folder())
except ObservabilityError as error:
    print(error, file=sys.stderr)
    sys.stderr.flush()
    os._exit(error.exit_code)

# Streamlit finds the application by reading this file for a call of `st.App`, so it stands here and nowhere else.
app = st.App(str(Path(__file__).parent / "observability" / "dashboard" / "shell.py"), **application.parts())
