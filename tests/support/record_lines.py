"""Lines of records of every kind."""

AT = "2024-03-01T10:00:00Z"


def prediction(i=0, **fields):
    return {
        "kind": "prediction", "id": f"p{i}", "at": AT, "model": "loan", "version": "1", "features": {"age": 30 + i, "job": "cook"}, "score": 0.25,
    } | fields  # fmt: skip


def label(i=0, value=1, **fields):
    return {"kind": "label", "id": f"p{i}", "at": "2024-03-02T00:00:00Z", "model": "loan", "value": value} | fields


OTHERS = {
    "run": {"run": "r", "at": AT, "event": "start", "model": "loan", "params": {"depth": 3, "rate": 0.1}},
    "step": {"run": "r", "at": AT, "step": 1, "metrics": {"loss": 0.5, "auc": "NaN"}},
    "resource": {"at": AT, "device": "gpu0", "watts": 200, "run": "r"},
    "annotation": {"project": "p", "item": "i", "annotator": "a", "at": AT, "label": "cat"},
    "batch": {"batch": "b", "at": AT, "source": "s", "rows": 10, "stats": {"age": {"mean": 3}}},
    "event": {"at": AT, "what": "deploy", "text": "version 2", "model": "loan"},
    "price": {"from": AT, "resource": "kwh", "amount": 0.3, "currency": "EUR"},
    "dataset": {"dataset": "d", "version": "1", "at": AT, "rows": 5, "parents": ["c"]},
    "cleaning": {"rule": "r", "at": AT, "rows_in": 10, "rows_changed": 1, "rows_dropped": 2},
    "assignment": {"project": "p", "item": "i", "annotator": "a", "at": AT},
    "expected_batch": {"batch": "b", "at": AT, "model": "m"},
    "item": {"project": "p", "item": "i", "at": AT, "content": {"text": "a cat", "age": 3}, "classes": ["cat", "dog"]},
    "skip": {"project": "p", "item": "i", "annotator": "a", "at": AT, "reason": "no class fits"},
    "device_report": {"device": "d1", "at": AT, "model": "m", "version": "1"},
    "storage_report": {"place": "lake", "at": AT, "used_bytes": 5},
    "audit": {"model": "loan", "version": "1", "at": AT, "audit": "robustness", "results": {"accuracy": 0.5}},
    "what_if": {
        "what_if": "w",
        "at": AT,
        "author": "Ada",
        "model": "loan",
        "prediction": "a",
        "changes": {"age": 3, "sex": None},
        "score": 0.4,
    },
    "saved_case": {"saved_case": "s", "at": AT, "author": "Ada", "model": "loan", "prediction": "a", "title": "Odd", "note": "n"},
    "review": {"review": "2013-W27", "at": AT, "week": "2013-W27", "author": "Ada", "body": {"models": []}},
    "agenda": {"review": "2013-W27", "item": "i", "at": AT, "author": "Ada", "does": "pin", "text": "first"},
    "decision": {"decision": "d", "at": AT, "author": "Ada", "statement": "hold", "options": ["roll back"]},
    "signature": {"at": AT, "author": "Ada", "model": "loan", "subject": "sex", "until": "2024-06-01T00:00:00Z"},
    "alert": {"incident": "i", "at": AT, "author": "Ada", "says": "snoozed", "until": "2024-06-01T00:00:00Z"},
    "dashboard": {"dashboard": "b", "at": AT, "author": "Ada", "name": "Mornings", "send": "monday", "hour": 7},
    "pin": {"pin": "p", "dashboard": "b", "at": AT, "author": "Ada", "page": "drift", "figure": "ranking", "place": 1.5},
    "message": {"message": "k", "at": AT, "state": "queued", "channel": "team"},
    "verdict": {"verdict": "v", "at": AT, "model": "loan", "prediction": "a", "author": "Ada", "source": "input", "wrong": "yes"},
    "action": {"action": "c", "at": AT, "author": "Ada", "do": "relabel", "due": AT, "goal": 0.5},
}
