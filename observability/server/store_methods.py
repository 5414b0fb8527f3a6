"""The action that each method of the store needs, and how its result is reduced to the data that a person may see."""

from dataclasses import dataclass
from typing import Literal

from observability.server.access import Action
from observability.server.audit_log import Deed


@dataclass(frozen=True)
class StoreMethod:
    """How calls of one method of the store are checked.

    model: the argument that says which model the call is about (a name, a window, a Model, or pairs of query and window); None if none
    does. answers: how a result about all models is reduced to the visible ones; "whole" results are only for people who see all models.
    """

    action: Action
    model: str | None = None
    answers: Literal["as it is", "column", "items", "catalog", "settings", "status", "dashboards", "whole"] = "as it is"


READ = StoreMethod("read")
METHODS: dict[str, StoreMethod] = {
    "home": READ,
    "generation": READ,
    "generations": READ,
    "guarded": READ,
    "published_as_of": READ,
    "unhurried": READ,
    "rewrites": READ,
    "loading": READ,
    "landing": READ,
    "snapshot": READ,
    "in_background": READ,
    "under": READ,
    "require_space": READ,
    "require_readable": READ,
    "versions": READ,
    "problems": READ,
    "repairs": READ,
    "check_lines": READ,
    "artifact": READ,
    "catalog": StoreMethod("read", answers="catalog"),
    "ask": StoreMethod("read", "window"),
    "ask_many": StoreMethod("read", "questions"),
    "counters": StoreMethod("read", "model"),
    "whole_groups": READ,
    "shown_findings": READ,
    "require_shown_slice": StoreMethod("read", "window"),
    "events": StoreMethod("read", "model", "column"),
    "canary_sightings": StoreMethod("read", "window", "column"),
    "activity": StoreMethod("read", "model", "column"),
    "newest_record": StoreMethod("read", "model"),
    "row": StoreMethod("read", "model"),
    "lake_holds": StoreMethod("read", "model"),
    "unread_days": StoreMethod("read", "model"),
    "note_lake_state": READ,
    "rows": StoreMethod("read", "window"),
    "search": StoreMethod("read", "window"),
    "rows_by_id_prefix": StoreMethod("read", answers="column"),
    "trace_totals": StoreMethod("read", answers="column"),
    "rows_of_subject": StoreMethod("read", answers="column"),
    "label_arrivals": StoreMethod("read", "model"),
    "feature_ages": StoreMethod("read", "window"),
    "verdicts": StoreMethod("read", "model", "items"),
    "actions": StoreMethod("read", "model", "items"),
    "decisions": StoreMethod("read", "model", "items"),
    "what_ifs": StoreMethod("read", "model"),
    "saved_cases": StoreMethod("read", "model", "items"),
    "dashboards": StoreMethod("read", answers="dashboards"),
    "settings_at": StoreMethod("read", answers="settings"),
    "status": StoreMethod("read", answers="status"),
    "asked_questions": StoreMethod("read", "model"),
    "column_storage": StoreMethod("read", "model"),
    "rejected_lines": StoreMethod("read", "model", "column"),
    "cached_answer": StoreMethod("read", "model"),
    "cache_answer": StoreMethod("read", "model"),
    "attributions_of_prediction": StoreMethod("read", "model"),
    "explanation_state": StoreMethod("read", "model"),
    "logs_attributions": StoreMethod("read", "model"),
    "explanation_parts": StoreMethod("read", "model"),
    "explanation_errors": StoreMethod("read", "model"),
    "rows_to_explain": StoreMethod("read", "model"),
    "rows_to_explain_by_id": StoreMethod("read", "model"),
    "estimation_state": StoreMethod("read", "model"),
    "days_to_estimate": StoreMethod("read", "model"),
    "rows_to_estimate": StoreMethod("read", "model"),
    "reference_stream": StoreMethod("read", "model"),
    "query_views": StoreMethod("query", answers="whole"),
    "export_views": StoreMethod("query", answers="whole"),
    "write_records": StoreMethod("write", "records"),
    "update_settings": StoreMethod("rules", "name"),
    "write_attributions": StoreMethod("explain", "model"),
    "restart_attributions": StoreMethod("explain", "model"),
    "write_estimates": StoreMethod("explain", "model"),
    "restart_estimates": StoreMethod("explain", "model"),
    "loaded_segments": READ,
    "load_landing": StoreMethod("load"),
    "retry_set_aside": StoreMethod("load"),
    "load_files": StoreMethod("load"),
    "load_source": StoreMethod("load"),
    "mark_repairs_seen": StoreMethod("settings"),
    "register": StoreMethod("register", "request"),
    "remove_model": StoreMethod("remove", "name"),
    "remove_sample": StoreMethod("remove"),
    "forget": StoreMethod("forget"),
    "waiting": StoreMethod("forget"),
    "erased": StoreMethod("forget"),
    "apply_retention": StoreMethod("remove"),
    "backup": StoreMethod("backup"),
    "publish": StoreMethod("backup"),
    "verify": StoreMethod("backup"),
    "verify_backup": StoreMethod("backup"),
    "export_lake": StoreMethod("backup"),
    "compute_lake_rollups": StoreMethod("backup"),
    "nightly": StoreMethod("backup"),
    "nightly_is_due": READ,
    "close": StoreMethod("backup"),
}
"""The check of each method and attribute of the store. Those that are missing here are refused."""
CHANGES: dict[str, Deed] = {
    "write_records": "changed",
    "update_settings": "changed",
    "load_files": "loaded",
    "load_source": "loaded",
    "register": "registered",
    "remove_model": "removed",
    "remove_sample": "removed",
    "apply_retention": "removed",
    "forget": "forgot",
}
"""Methods that are recorded in the audit log, with the word for each."""
QUERIES = ("query_views", "export_views")
"""Methods that run SQL. People who may not see masked values get views without these values."""
