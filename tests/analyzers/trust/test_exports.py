"""trust/exports: budgets, k, personal columns, attestations, checklists and canaries; figures agree with hand calculations and with
dp-accounting.
"""

import base64
import itertools
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from observability.analyzers.trust.exports import ANALYZER
from observability.core.catalog import Model
from observability.core.errors import UsageError
from observability.core.finding import Finding
from observability.core.settings import ModelSettings
from observability.core.time import naive_utc
from observability.metrics.attestations import is_signed, public_key
from observability.metrics.exports import CHECKLIST
from observability.stats.privacy_loss import dpsgd_epsilon, gaussian_rdp, rdp_epsilon
from tests.support.export_events import ATTESTED, START, clean_exports, export, export_findings, levels, noised, stated_levels


def of_metric(found: list[Finding], metric: str) -> list[Finding]:
    return [each for each in found if each.metric == metric]


def only(found: list[Finding], metric: str) -> Finding:
    (finding,) = of_metric(found, metric)
    return finding


def test_privacy_losses_of_releases_are_summed_against_the_budget() -> None:
    one = rdp_epsilon(gaussian_rdp(6.0), 1e-5)
    four = rdp_epsilon(4 * gaussian_rdp(6.0), 1e-5)
    rows = [noised(-20), noised(-10), noised(1), noised(2)]
    over = only(export_findings(rows, levels({"epsilon": 1.0, "delta": 1e-5})), "export_epsilon")
    assert (over.severity, over.limit, over.subject) == ("act", 1.0, "recipient:acme/dataset:customers")
    assert over.value == pytest.approx(four) and one < four < 4 * one, (
        "the ε of all releases together is less than the sum of their ε, by Rényi accounting"
    )
    assert over.value == pytest.approx(1.3863, rel=1e-3), "dp-accounting gives this for four Gaussian releases at 6 times the sensitivity"
    near = only(export_findings(rows, levels({"epsilon": 1.6})), "export_epsilon")
    assert near.severity == "watch" and "% of the budget of 1.6" in near.because
    assert only(export_findings(rows[:1], levels({"epsilon": 5.0})), "export_epsilon").severity == "ok", (
        "an older release still counts towards the budget"
    )
    unstated = only(export_findings(rows), "export_epsilon")
    assert (unstated.severity, unstated.value) == ("unknown", None) and "no budget is stated" in unstated.because


def test_a_release_without_a_logged_loss_leaves_the_budget_unknown_unless_it_is_exceeded_anyway() -> None:
    rows = [noised(1), export(2, transform="noised", mechanism=None)]
    found = export_findings(rows, levels({"epsilon": 5.0}))
    assert only(found, "export_epsilon").severity == "unknown" and "1 export logged no ε" in only(found, "export_epsilon").because
    assert "ε (1 of 2)" in only(found, "export_unlogged").because
    assert only(export_findings(rows, levels({"epsilon": 0.1})), "export_epsilon").severity == "act"


def test_stated_privacy_losses_are_summed_and_one_below_its_mechanism_is_reported() -> None:
    stated = [export(day, epsilon=0.4, delta=1e-6) for day in (1, 2)]
    loss = only(export_findings(stated, levels({"epsilon": 10.0})), "export_epsilon")
    assert loss.value == pytest.approx(0.8) and "2 releases by its stated ε" in loss.because
    low = [noised(1, epsilon=0.1)]
    told = only(export_findings(low, levels({"epsilon": 10.0})), "export_epsilon")
    assert told.severity == "watch" and "states less than its mechanism gives: 0.652" in told.because
    assert told.value == pytest.approx(rdp_epsilon(gaussian_rdp(6.0), 1e-5)), (
        "the loss is computed from the mechanism, not from the stated ε"
    )


def test_the_privacy_loss_of_noisy_training_uses_its_steps_and_sampling_rate() -> None:
    mechanism = {"noise_multiplier": 1.1, "sampling_rate": 0.01, "steps": 1000}
    rows = [export(1, transform="noised", k=None, delta=1e-5, mechanism=mechanism)]
    loss = only(export_findings(rows, levels({"epsilon": 1.5})), "export_epsilon")
    assert loss.severity == "act" and loss.value == pytest.approx(dpsgd_epsilon(1.1, 0.01, 1000, 1e-5)) == pytest.approx(1.7118, rel=1e-3)


def test_k_is_compared_with_the_owners_level_for_the_recipient_or_the_model() -> None:
    rows = [export(1), export(2, k=4.0)]
    assert only(export_findings(rows, levels({"k": 5})), "export_k").severity == "act"
    for free in (export_findings(rows, levels({"k": 5, "dataset": "others"})), export_findings(rows)):
        found = only(free, "export_k")
        assert (found.severity, found.limit, found.likely_source) == ("unknown", None, None)
        assert "no level set: set `trust/exports/export_k`" in found.because
    unique = only(export_findings([export(1, k=1.0)]), "export_k")
    assert unique.severity == "watch" and "a row with k = 1 is unique" in unique.because
    model = Model(1, "loan", settings=ModelSettings(limits={"trust/exports/export_k": 20.0}))
    of_model = only(export_findings([export(1, model="loan")], models={"loan": model}), "export_k")
    assert (of_model.severity, of_model.limit, of_model.model) == ("act", 20.0, "loan")


def test_personal_columns_need_a_transform_or_a_legal_basis() -> None:
    bare = only(export_findings([export(transform=None, legal_basis=None)]), "export_personal_columns")
    assert bare.severity == "act" and bare.value == 1 and "`name`" in bare.because
    unfounded = only(export_findings([export(legal_basis=None)]), "export_personal_columns")
    assert unfounded.severity == "watch" and "without a legal basis" in unfounded.because
    assert only(export_findings([export(transform="none")]), "export_personal_columns").severity == "ok"
    one = {"name": {"tag": "personal", "transform": "hashed"}, "iban": {"tag": "personal"}}
    part = only(export_findings([export(transform=None, legal_basis=None, columns=one)]), "export_personal_columns")
    assert part.value == 1 and "`iban`" in part.because and "`name`" not in part.because
    model = Model(1, "loan", settings=ModelSettings(column_tags={"spend": "sensitive"}))
    tagged = export(transform=None, legal_basis=None, columns={"spend": {}}, model="loan")
    assert only(export_findings([tagged], models={"loan": model}), "export_personal_columns").evidence["columns"] == ["spend"]
    assert of_metric(export_findings([tagged]), "export_personal_columns") == [], "without a tag no column is personal"


def key_pair(kind: str) -> tuple[Callable[[bytes], bytes], str]:
    """A function that signs with a new key, and the public key as PEM."""
    key: Any = ed25519.Ed25519PrivateKey.generate() if kind == "Ed25519" else ec.generate_private_key(ec.SECP256R1())
    pem = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
    return (key.sign if kind == "Ed25519" else lambda text: key.sign(text, ec.ECDSA(hashes.SHA256()))), pem


def signed(sign: Callable[[bytes], bytes], document: str) -> dict[str, Any]:
    """The fields of an attestation with a signed document."""
    own = {"attestation_document": document, "attestation_signature": base64.b64encode(sign(document.encode())).decode()}
    return {"attestation": ATTESTED, "extra": own}


@pytest.mark.parametrize("kind", ["Ed25519", "P-256"])
def test_an_attestation_is_ok_only_where_the_registered_key_signed_its_hash(kind: str) -> None:
    (sign, key), (other, _) = key_pair(kind), key_pair(kind)
    document = f'{{"measurement": "{ATTESTED}", "at": "2026-03-02"}}'
    known = levels({"attestation": ATTESTED, "attestation_key": key})
    found = only(export_findings([export(1, **signed(sign, document))], known), "export_attestation")
    assert found.severity == "ok" and found.because.endswith("its signature is verified.")
    for wrong in (signed(other, document), signed(sign, '{"measurement": "sha256:other"}')):
        found = only(export_findings([export(1, **wrong)], known), "export_attestation")
        assert (found.severity, found.value) == ("act", 1.0) and "does not match the registered key" in found.because
    changed = signed(sign, document)
    changed["extra"]["attestation_document"] += " "
    assert only(export_findings([export(1, **changed)], known), "export_attestation").severity == "act"
    found = only(export_findings([export(1, **signed(sign, document)), export(2, attestation=ATTESTED)], known), "export_attestation")
    assert found.severity == "watch" and "without a signature" in found.because
    no_key = only(export_findings([export(1, **signed(sign, document))], levels({"attestation": ATTESTED})), "export_attestation")
    assert (no_key.severity, no_key.value) == ("unknown", None) and "no public key is registered" in no_key.because
    only_key = levels({"attestation_key": key})
    assert only(export_findings([export(1, **signed(other, document))], only_key), "export_attestation").severity == "act"


def test_a_signature_of_two_plain_numbers_is_read_as_well_as_one_in_der() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    r, s = decode_dss_signature(key.sign(b"text", ec.ECDSA(hashes.SHA256())))
    pem = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
    plain = base64.b64encode(r.to_bytes(32) + s.to_bytes(32)).decode()
    assert is_signed("text", plain, pem) and not is_signed("another text", plain, pem) and not is_signed("text", "no base64!", pem)


def test_a_key_of_another_kind_is_refused_and_without_the_library_nothing_is_verified(monkeypatch: pytest.MonkeyPatch) -> None:
    other = ec.generate_private_key(ec.SECP384R1()).public_key()
    pem = other.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
    for text in (pem, "no key"):
        with pytest.raises(UsageError, match="public key"):
            public_key(text)
    sign, key = key_pair("Ed25519")
    known, document = levels({"attestation": ATTESTED, "attestation_key": key}), f"{ATTESTED} alone"
    is_signed.cache_clear()
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.asymmetric", None)
    found = only(export_findings([export(1, **signed(sign, document))], known), "export_attestation")
    assert found.severity == "unknown" and "[attestation]" in found.because


def test_an_attested_hash_is_compared_with_the_owners_hash_or_the_previous_one() -> None:
    right, wrong = export(1, attestation=ATTESTED), export(2, attestation="sha256:0000")
    stated = levels({"attestation": ATTESTED})
    unsigned = only(export_findings([right], stated), "export_attestation")
    assert (unsigned.severity, unsigned.value) == ("unknown", None) and unsigned.because.endswith("no signature is logged.")
    assert only(export_findings([right, wrong], stated), "export_attestation").severity == "act"
    missing = only(export_findings([right, export(3)], stated), "export_attestation")
    assert missing.severity == "watch" and "without the attestation" in missing.because
    assert only(export_findings([right, wrong]), "export_attestation").severity == "watch"
    assert only(export_findings([right]), "export_attestation").severity == "unknown"
    assert of_metric(export_findings([export(1)]), "export_attestation") == []


def test_training_elsewhere_is_judged_by_its_checklist() -> None:
    every = dict.fromkeys(CHECKLIST, True)
    kept = {"attestation": ATTESTED, "canaries": [{"name": "c1", "text": "zq-canary-77"}], "run": "r7"}
    stated = levels({"attestation": ATTESTED, "epsilon": 9.0})
    met = only(export_findings([noised(1, checklist=every, **kept)], stated), "export_checklist")
    assert (met.severity, met.value, met.subject) == ("ok", 0, "run:r7")
    broken = only(export_findings([noised(1, checklist={**every, "deletion": False}, **kept)], stated), "export_checklist")
    assert broken.severity == "watch" and "unmet: deletion" in broken.because
    owned = levels({"checklist": ["region", "deletion"]})
    assert only(export_findings([export(1, checklist={"region": False})], owned), "export_checklist").severity == "act"
    silent = only(export_findings([export(1, checklist={"region": True})], owned), "export_checklist")
    assert silent.severity == "unknown" and "not logged: deletion" in silent.because
    lied = {"attestation": True}
    assert only(export_findings([export(1, checklist=lied, attestation="other")], levels({"attestation": ATTESTED, "checklist": ["attestation"]})), "export_checklist").severity == "act"  # fmt: skip


def test_a_canary_found_again_is_reported_with_its_place() -> None:
    planted = export(-30, canaries=[{"name": "c1", "text": "zq-canary-77"}, {"name": "c2", "text": "zq-canary-78"}])
    seen = [
        {"canary": "c1", "model": "chat", "version": "1", "environment": "probe", "id": f"p{place}", "at": START + timedelta(days=place), "place": "the answer"}
        for place in (3, 2)
    ]  # fmt: skip
    seen.append({**seen[0], "record": "label", "place": "the label"})
    found = of_metric(export_findings([planted], canary_sightings=seen), "canary_sightings")
    assert [(each.subject, each.severity, each.value, each.model) for each in found] == [
        ("canary:c1", "act", 3.0, "chat"),
        ("canaries", "ok", 0.0, None),
    ]
    assert "is in 2 predictions and 1 label of `chat`, first on 4 Mar 2026 (the answer)" in found[0].because
    assert found[0].evidence["records"] == {"label": 1, "prediction": 2}


def test_a_found_canary_is_attributed_to_the_export_that_contained_it() -> None:
    """Regression: two recipients each have a canary without a name. The text of the first came back, but the second was blamed."""
    acme = export(-30, recipient="acme", canaries=[{"text": "zq-canary-77"}])
    bolt = export(-20, recipient="bolt", canaries=[{"text": "zq-canary-78"}])
    row = {"canary": "canary", "exported": naive_utc(START - timedelta(days=30)), "recipient": "acme", "model": "chat", "id": "p1"}
    seen = [{**row, "at": START + timedelta(days=1), "place": "the answer"}]
    found = of_metric(export_findings([acme, bolt], canary_sightings=seen), "canary_sightings")
    assert "which left to `acme`" in found[0].because and "/" in found[0].subject
    assert [(each.severity, each.n) for each in found] == [("act", 1), ("ok", 1)]


def test_recipients_of_one_canary_are_all_named() -> None:
    """It is not known which of the recipients passed the canary on."""
    both = [export(day, recipient=name, canaries=[{"name": "c1", "text": "zq-canary-77"}]) for day, name in ((-30, "acme"), (-20, "bolt"))]
    later = export(5, recipient="corp", canaries=[{"name": "c1", "text": "zq-canary-77"}])
    seen = [{"canary": "c1", "model": "chat", "id": "p1", "at": naive_utc(START + timedelta(days=1)), "place": "the answer"}]
    seen[0] |= {"exported": naive_utc(START - timedelta(days=30)), "recipient": "acme"}
    (found,) = of_metric(export_findings([*both, later], canary_sightings=seen), "canary_sightings")
    assert "which left to `acme` and `bolt` from 31 Jan 2026 on, is in" in found.because and found.evidence["recipients"] == [
        "acme",
        "bolt",
    ]
    assert found.subject == "canary:c1"


def test_an_export_without_logged_fields_is_unknown_and_clean_exports_raise_nothing() -> None:
    bare = {"at": START + timedelta(days=1), "text": "a file", "recipient": "acme"}
    (told,) = export_findings([bare])
    assert told.severity == "unknown" and "columns, rows and legal basis" in told.because
    rng = np.random.default_rng(5)
    for _ in range(300):
        assert [each.because for each in export_findings(clean_exports(rng), stated_levels()) if each.needs_action] == []


def test_export_findings_do_not_depend_on_row_order_and_ignore_the_dashboards_own_files() -> None:
    rows = [noised(1), export(2, k=3.0), export(3, transform=None, legal_basis=None), export(3, recipient="bolt")]
    wanted = [each.to_json() for each in export_findings(rows, levels({"epsilon": 2.0, "k": 5}))]
    for order in itertools.permutations(rows):
        assert [each.to_json() for each in export_findings(order, levels({"epsilon": 2.0, "k": 5}))] == wanted
    assert export_findings([export(1, k=1.0, legal_basis=None, transform=None, extra={"source": "dashboard"})]) == []
    assert ANALYZER.limits == {"export_k": None}


def test_export_findings_are_new_or_ongoing_by_the_exports_before_the_window() -> None:
    allowed = levels({"k": 5.0, "epsilon": 0.5, "delta": 1e-5})
    first = export_findings([export(1, k=2.0, personal=["text"], legal_basis=None), noised(2)], allowed)
    again = export_findings(
        [export(-3, k=2.0, personal=["text"], legal_basis=None), noised(-2), export(1, k=2.0, personal=["text"], legal_basis=None), noised(2)],
        allowed,
    )  # fmt: skip
    for metric in ("export_k", "export_personal_columns", "export_epsilon"):
        assert only(first, metric).severity in ("act", "watch"), metric
        assert (only(first, metric).news, only(again, metric).news) == ("new", "ongoing"), metric
    mended = export_findings([export(-9, k=2.0), export(-3, k=9.0), export(1, k=2.0)], allowed)
    assert only(mended, "export_k").news == "new", "the last export before it was within the limit"
