"""The job of the lab; its results are stored so that links to them work."""

from observability.dashboard.background_job import JobSlot

LAB = JobSlot("lab", cancelled="Cancelled. Nothing was saved.", failed="The lab failed", kept=16, line=8)
