"""What stands between the network and the application: who may ask, how much, and what a browser
may do with the answer.

- Without a token only this computer is served, and only under the names of this computer: a page of
  a stranger whose name suddenly resolves to 127.0.0.1 (DNS rebinding) names another host.
- With a token, which is required when others can reach the port, every request brings it: as
  `Authorization: Bearer`, or in the cookie that the address with `?token=` sets.
- A request that changes something and comes from another page (`Origin`, `Sec-Fetch-Site`) is
  refused.
- A body that is too large is refused before it is read to its end.
"""

import hmac
import json
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from fastapi import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["Guard"]

_COOKIE = "galaxyvotes_token"
_LOCAL = frozenset({"127.0.0.1", "localhost", "::1"})
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self';"
    " img-src 'self' blob: data:; connect-src 'self'; manifest-src 'self'; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


@dataclass(frozen=True)
class Guard:
    """An application that is asked only what it may be asked; `token` is empty without."""

    app: ASGIApp
    token: str
    max_bytes: int

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or refuse it."""
        if scope["type"] != "http":
            await (self.app(scope, receive, send) if scope["type"] == "lifespan" else _close(send))
            return
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = {name for name, _ in message["headers"]}
                more = [(name.encode(), value.encode()) for name, value in _HEADERS.items()]
                message["headers"] = [
                    *message["headers"],
                    *(pair for pair in more if pair[0] not in given),
                ]
            await send(message)

        if answer := self._refusal(scope, headers):
            await _answer(send_with_headers, *answer)
            return
        if self.token and (location := self._signed_in(scope)):
            cookie = f"{_COOKIE}={quote(self.token)}; HttpOnly; SameSite=Strict; Path=/"
            await _answer(send_with_headers, 303, "", {"location": location, "set-cookie": cookie})
            return
        await self.app(scope, self._limited(receive), send_with_headers)

    def _limited(self, receive: Receive) -> Receive:
        """What is received, up to so many bytes."""
        count = 0

        async def receive_some() -> Message:
            nonlocal count
            message = await receive()
            count += len(message.get("body", b""))
            if count > self.max_bytes:
                raise HTTPException(413, self._too_large)
            return message

        return receive_some

    @property
    def _too_large(self) -> str:
        return f"the request has more than {self.max_bytes:,} bytes: send fewer images at a time"

    def _refusal(self, scope: Scope, headers: dict[str, str]) -> tuple[int, str] | None:
        """Why a request is not served: a status, and a sentence."""
        host = headers.get("host", "")
        if not self.token and _host_of(host) not in _LOCAL:
            return 421, f"this server is for this computer only, and the request is for {host!r}"
        if scope["method"] not in _SAFE and _is_foreign(headers):
            return 403, "the request comes from another page"
        length = headers.get("content-length", "0")
        if length.isdecimal() and int(length) > self.max_bytes:
            return 413, self._too_large
        if self.token and not self._is_known(scope, headers):
            return 401, "the token is missing or wrong: open the address that the server printed"
        return None

    def _is_known(self, scope: Scope, headers: dict[str, str]) -> bool:
        bearer = headers.get("authorization", "").removeprefix("Bearer ")
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(_COOKIE)
        except CookieError:
            cookie = None
        given = [bearer, cookie.value if cookie else "", _query_token(scope)]
        return any(
            hmac.compare_digest(one.encode("utf-8", "replace"), self.token.encode())
            for one in given
        )

    def _signed_in(self, scope: Scope) -> str:
        """Where a request that brings the token in its address goes on, without it."""
        if scope["method"] != "GET" or not _query_token(scope):
            return ""
        query = parse_qs(scope["query_string"].decode("latin-1"))
        query.pop("token", None)
        path = "/" + quote(scope["path"].lstrip("/"))
        return path + ("?" + urlencode(query, doseq=True) if query else "")


def _query_token(scope: Scope) -> str:
    return parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]


def _host_of(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _is_foreign(headers: dict[str, str]) -> bool:
    """Whether a browser says that another page sends the request; programs say nothing."""
    if headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
        return True
    origin = headers.get("origin")
    return origin is not None and urlsplit(origin).netloc != headers.get("host", "")


async def _answer(
    send: Send, status: int, error: str, headers: dict[str, str] | None = None
) -> None:
    body = json.dumps({"error": error}).encode() if error else b""
    fields = {"content-type": "application/json", "content-length": str(len(body))}
    pairs = [(name.encode(), value.encode()) for name, value in (fields | (headers or {})).items()]
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})


async def _close(send: Send) -> None:
    await send({"type": "websocket.close", "code": 1008})
