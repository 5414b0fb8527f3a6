"""The rights that each path needs, as one table of every route of the dashboard's process. A GET or HEAD that no other rule covers needs
the action `read`. Any other request that no rule covers is refused.
"""

import re
from dataclasses import dataclass
from typing import Literal

from observability.server.access import Action

RouteNeed = Literal["public", "token", "owner", "nobody"]
READING = ("GET", "HEAD")


@dataclass(frozen=True)
class RouteRule:
    """Paths, and the right that a request to them needs. needs: an action for which the person needs rights, or one of RouteNeed. public:
    files of the front end, and sign-in itself; token: the route itself checks a token; owner: the route itself checks the token of the
    command line; nobody: refused if there is sign-in.
    """

    path: str
    methods: tuple[str, ...]
    needs: Action | RouteNeed

    def applies(self, method: str, path: str) -> bool:
        """Whether the rule applies to a request. `*` at the end of a path stands for any rest."""
        pattern = re.escape(self.path.removesuffix("*")) + (".*" if self.path.endswith("*") else "")
        return method in self.methods and re.fullmatch(pattern, path, re.DOTALL) is not None


ANY = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
RULES: tuple[RouteRule, ...] = (
    RouteRule("/readyz", READING, "public"),
    RouteRule("/sign-in", (*READING, "POST"), "public"),
    RouteRule("/sign-out", (*READING, "POST"), "public"),
    RouteRule("/auth/login", READING, "public"),
    RouteRule("/auth/logout", READING, "public"),
    RouteRule("/oauth2callback", READING, "public"),
    RouteRule("/static/*", READING, "public"),
    RouteRule("/favicon.png", READING, "public"),
    RouteRule("/favicon.ico", READING, "public"),
    RouteRule("/_stcore/health", READING, "public"),
    RouteRule("/_stcore/host-config", READING, "public"),
    RouteRule("/_stcore/agent/*", ANY, "nobody"),
    RouteRule("/_stcore/upload_file/*", ("PUT", "POST", "DELETE"), "register"),
    RouteRule("/_stcore/stream", ("WEBSOCKET",), "read"),
    RouteRule("/_owner/*", ANY, "owner"),
    RouteRule("/api/*", ANY, "token"),
    RouteRule("/metrics", ANY, "token"),
    RouteRule("/mcp", ANY, "token"),
    RouteRule("/v1/*", ANY, "token"),
    RouteRule("/*", READING, "read"),
)
"""The first rule that applies to a request decides."""


def route_needs(method: str, path: str) -> Action | RouteNeed:
    """The right that a request needs; a request that no rule covers is refused."""
    return next((rule.needs for rule in RULES if rule.applies(method, path)), "nobody")
