"""Verify signatures offline, with the key that the owner registered. They are signatures over the documents in which enclaves attest what
they run.

The document is the exact text that was signed, and contains the hash that the enclave attested. A detached signature is Ed25519, or ECDSA
on P-256 with SHA-256. Certificate chains of processor makers are not followed: only the key that the owner registered is trusted.
"""

import base64
import binascii
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from observability.core.errors import UsageError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

SignatureState = Literal["verified", "does not match", "not signed", "no key known", "not checked"]
RAW_P256 = 64
"""Number of bytes of an ECDSA signature on P-256 that is stored as two raw numbers; a signature of another length is in DER format."""
EXTRA = "Install observability-dashboard[attestation]"
FORMS = "an Ed25519 or P-256 public key in PEM (BEGIN PUBLIC KEY)"


def public_key(pem: str) -> "Ed25519PublicKey | EllipticCurvePublicKey":
    """The public key of a PEM text.

    Raises UsageError if it is neither an Ed25519 nor a P-256 key, and ImportError if `cryptography` is not installed.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise UsageError("this is no public key", got=str(error) or pem[:60], expected=FORMS) from None
    if isinstance(key, ed25519.Ed25519PublicKey) or (isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1)):
        return key
    raise UsageError("a public key of another kind", got=type(key).__name__.strip("_"), expected=FORMS)


@lru_cache(maxsize=512)
def is_signed(document: str, signature: str, pem: str) -> bool:
    """Whether a signature (base64) over the UTF-8 bytes of a document was made with the private key that belongs to a public key.

    Raises as `public_key` does.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
    from cryptography.hazmat.primitives.hashes import SHA256

    key = public_key(pem)
    try:
        raw = base64.b64decode("".join(signature.split()), validate=True)
        if isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(raw, document.encode())
        else:
            if len(raw) == RAW_P256:
                raw = encode_dss_signature(int.from_bytes(raw[:32]), int.from_bytes(raw[32:]))
            key.verify(raw, document.encode(), ec.ECDSA(SHA256()))
    except (InvalidSignature, binascii.Error):
        return False
    return True


def signature_state(attestation: str | None, document: str | None, signature: str | None, pem: str | None) -> SignatureState | None:
    """The state of the signature over an attestation.

    Parameters
    ----------
    attestation : str | None
        The hash that the enclave attested.
    document : str | None
        The text that it signed.
    signature : str | None
        The detached signature in base64.
    pem : str | None
        The public key that the owner registered.

    Returns
    -------
    SignatureState | None
        None without an attestation. `verified` only where the key signed the document and the attested hash stands in it; `not checked`
        where `cryptography` is not installed, or the registered key cannot be read.
    """
    if attestation is None:
        return None
    if document is None or signature is None:
        return "not signed"
    if pem is None:
        return "no key known"
    try:
        signed = is_signed(document, signature, pem)
    except (ImportError, UsageError):
        return "not checked"
    return "verified" if signed and attestation in document else "does not match"


def weakest_signature(states: Sequence[SignatureState | None]) -> SignatureState | None:
    """The worst of several states. From worst to best: does not match, not signed, no key known, not checked, verified.

    Parameters
    ----------
    states : sequence of SignatureState
        Of several exports.

    Returns
    -------
    SignatureState | None
        None without any.
    """
    order: tuple[SignatureState, ...] = ("does not match", "not signed", "no key known", "not checked", "verified")
    return next((state for state in order if state in states), None)
