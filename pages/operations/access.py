"""Access :material/lock:
Who is signed in, with which role; the change of the password; and for administrators the accounts and the audit log: who signed in, saw,
exported, changed or removed what.
"""

from observability.dashboard import frame
from observability.dashboard.operations import access

frame.store_page_heading("access")
person = access.person_section()
access.password_section(person)
if access.may_administer(person):
    access.accounts_section()
    access.audit_section()
