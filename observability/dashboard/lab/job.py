"""The job of the lab, whose results are kept for links."""

from observability.dashboard.background_job import JobSlot

LAB = JobSlot("lab", cancelled="Cancelled. Nothing was saved.", failed="The lab failed", kept=16, line=8)
