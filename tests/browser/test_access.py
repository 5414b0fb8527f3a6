"""A person signs in with a password, sees the name and the audit log, changes the password, and signs out."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from observability.server import accounts, audit_log
from tests.support.running import dashboard

pytestmark = pytest.mark.browser
PASSWORD, NEXT = "correct horse battery", "staple pencil orbit"


def test_accounts_roles_and_the_access_log_work_end_to_end(chromium: Browser, tmp_path: Path) -> None:
    home = tmp_path / "home"
    accounts.add_account(home, "ada", "administrator", PASSWORD)
    accounts.add_account(home, "vic", "viewer", NEXT)
    with dashboard(home) as running:
        context = chromium.new_context()
        page, errors = context.new_page(), []
        page.on("console", lambda message: errors.append(message.text) if "Content Security Policy" in message.text else None)
        page.goto(f"{running.url}/access")
        page.get_by_label("Name").fill("ada")
        page.get_by_label("Password").fill("wrong")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("alert")).to_contain_text("name or the password is wrong")
        page.get_by_label("Name").fill("ada")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_text("Signed in as ada")).to_be_visible(timeout=60_000)
        assert page.url == f"{running.url}/access"
        expect(page.get_by_text("ada, administrator")).to_be_visible()
        expect(page.get_by_text("failed to sign in").first).to_be_visible()
        for label, text in (("Present password", PASSWORD), ("New password", NEXT + "s"), ("New password again", NEXT + "s")):
            page.get_by_label(label, exact=True).fill(text)
        page.get_by_role("button", name="Change the password").click()
        expect(page.get_by_text("The password is changed.")).to_be_visible(timeout=30_000)
        page.goto(f"{running.url}/access")
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
        page.get_by_label("Name").fill("vic")
        page.get_by_label("Password").fill(NEXT)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_text("Signed in as vic")).to_be_visible(timeout=60_000)
        expect(page.get_by_text("Audit log")).to_have_count(0)
        page.get_by_role("link", name="Sign out").first.click()
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
        assert errors == []
        context.close()
    does = [entry["does"] for entry in audit_log.access_entries(home)]
    assert {"signed in", "failed to sign in", "changed", "signed out"} <= set(does)
