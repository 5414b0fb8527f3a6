"""The person who uses this page, according to the cookies of the session, and the settings that Streamlit's `st.login` needs."""

import contextlib
import secrets
import time
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from dataclasses import replace
from typing import Any

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from observability.core import formatting
from observability.server import audit_log, process_lock
from observability.server.access import ACTING, HERE, Action, Person, may_do, require_action
from observability.server.access_settings import AccessSettings, read_access_settings
from observability.server.guarded_store import action_of_settings
from observability.server.replica import current_replica
from observability.server.sign_in import OIDC_COOKIE, signed_in_person

PROVIDER = "default"
_ON_BEHALF: ContextVar[Person | None] = ContextVar("person for whom figures are computed", default=None)
SEEN_AGAIN = 600.0
"""If the same person opens the same case again within this many seconds, it is not logged again."""


def current_person() -> Person:
    """The person for whom this code runs: the person of the page or of the request. In the dashboard's own threads and without sign-in,
    this is HERE.

    If the session has ended, the page stops here.
    """
    home = process_lock.current_store().home
    acting = _ON_BEHALF.get()
    if read_access_settings(home).method == "none":
        return replace(HERE, for_a_file=acting is not None and acting.for_a_file)
    if acting is not None:
        return acting
    if get_script_run_ctx(suppress_warning=True) is None:
        return ACTING.get()
    person = signed_in_person(home, st.context.cookies, oidc_claims)
    if person is None or not person.has_access:
        st.warning("You are not signed in, or your session ended. [Sign in](/sign-in) and reload the page.", icon=":material/lock:")
        st.stop()
    return person


@contextlib.contextmanager
def on_behalf_of(person: Person) -> Iterator[None]:
    """Let this code read the store with the rights of a person, whoever is signed in. Without sign-in, all that is taken from the person is
    whether the result is for a file.
    """
    token = _ON_BEHALF.set(person)
    try:
        yield
    finally:
        _ON_BEHALF.reset(token)


def oidc_claims(cookies: Mapping[str, str], hours: float) -> dict[str, Any] | None:
    """The claims in the cookie of `st.login`. None if there is no such cookie, if another process signed it, or if it is too old."""
    import json

    from streamlit.auth_util import get_cookie_with_chunks
    from streamlit.web.server.server_util import get_cookie_secret
    from streamlit.web.server.starlette.starlette_app_utils import decode_signed_value

    if OIDC_COOKIE not in cookies:
        return None

    def one(name: str) -> bytes | None:
        value = cookies.get(name)
        return decode_signed_value(get_cookie_secret(), name, value, hours / 24) if value else None

    try:
        found = get_cookie_with_chunks(one, OIDC_COOKIE)
        claims = json.loads(found) if found else None
    except (ValueError, KeyError, TypeError):
        return None
    return claims if isinstance(claims, dict) and claims.get("is_logged_in") else None


def oidc_login_address() -> str:
    """The address that starts the sign-in at the provider; it is valid for two minutes."""
    from streamlit.auth_util import encode_provider_token

    return f"/auth/login?provider={encode_provider_token(PROVIDER)}"


def oidc_secrets(settings: AccessSettings) -> dict[str, Any] | None:
    """The settings for `st.login`, in the form of Streamlit's secrets; None if sign-in does not use OIDC.

    The key that signs cookies is generated at each start, so cookies become invalid when the process ends.
    """
    oidc = settings.oidc
    if oidc is None:
        return None
    return {
        "auth": {
            "redirect_uri": f"{settings.urls[0]}/oauth2callback",
            "cookie_secret": secrets.token_urlsafe(48),
            "client_id": oidc.client_id,
            "client_secret": oidc.client_secret,
            "server_metadata_url": oidc.server_metadata_url,
            "client_kwargs": {"scope": oidc.scope, "prompt": oidc.prompt},
        }
    }


def require_of_person(action: Action, model: str | None = None) -> None:
    """Check the right to an action outside the store, such as writing a settings file. Raises ForbiddenError without the right, and
    UsageError if only the owner of the store can do it.
    """
    require_action(current_person(), action, model)
    require_owner()


def require_owner() -> None:
    """Raises UsageError if this process only reads, because only the owner of the store changes files of the home folder."""
    reads = current_replica()
    if reads is not None:
        reads.store.refuse()


def role_allows(action: Action, model: str | None = None) -> bool:
    """Whether the person may do an action on a model, or in general."""
    return may_do(current_person(), action, model)


def may_change(model: str, *settings: str) -> bool:
    """Whether the person may change these settings of a model."""
    return role_allows(action_of_settings(set(settings)), model)


def reveal_masked_values(model: str, prediction: str, subject: str | None) -> None:
    """Check that the person may see the masked values of a case, and log that they were shown. Without sign-in, nothing is logged. Raises
    ForbiddenError.
    """
    person = current_person()
    require_action(person, "reveal", model)
    home = process_lock.current_store().home
    if person.source != "here":
        audit_log.note_access(home, person.name, "revealed", what="case", model=model, prediction=prediction, subject=subject)


def note_case_seen(prediction: str, model: str, subject: str | None) -> None:
    """Log that the person has opened a case, at most once per SEEN_AGAIN seconds in a session. Does nothing without sign-in."""
    person = current_person()
    if person.source == "here":
        return
    seen: dict[tuple[str, str], float] = st.session_state.setdefault("cases-logged", {})
    now = time.monotonic()
    if now - seen.get((model, prediction), -SEEN_AGAIN) < SEEN_AGAIN:
        return
    home = process_lock.current_store().home
    audit_log.note_access(home, person.name, "saw", what="case", model=model, prediction=prediction, subject=subject)
    seen[model, prediction] = now


def note_subject_search(subject: str, found: int) -> None:
    """Log that the person has searched for a subject and found predictions. Does nothing without sign-in."""
    person = current_person()
    if found and person.source != "here":
        audit_log.note_access(process_lock.current_store().home, person.name, "searched", what="subject", subject=subject)


def draw_person() -> None:
    """Draw the name and role of the person, and the link to sign out, in the sidebar. Draws nothing without sign-in."""
    person = current_person()
    if person.source == "here":
        return
    name = formatting.escape_markdown(f"{person.name}, {person.role or 'some models'}")
    with st.sidebar:
        st.caption(f":material/person: {name}")
        sign_out_link()


def sign_out_link() -> None:
    """Draw the link to the page that signs out."""
    st.html('<a href="/sign-out" target="_self">Sign out</a>')
