"""Secrets as tests plant them: the usual encodings of a value, and one text for each declared pattern."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote, quote_plus

PATTERNED = {
    "private key": "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEAu1\nSU1LfVLPHCoz\n-----END RSA PRIVATE KEY-----",
    "password in a URL": "postgresql://trading:pl4nted-one@db:5432/x",
    "webhook": "https://hooks.slack.com/services/T0AAAA/B0BBBB/pl4ntedone99",
    "authorization": "Authorization: Token pl4nted-one",
    "bearer": "got Bearer pl4nted-one.abc",
    "assignment": 'api_key = "pl4nted one"',
    "argument": "run --db-password pl4nted-one",
    "JSON web token": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3In0.pl4ntedone",
    "AWS key": "AKIAPL4NTEDONE123456",
    "GitHub token": "ghp_" + "pl4ntedone" * 3 + "abcdef",
    "GitLab token": "glpat-pl4nted-one_abcdefgh",
    "Slack token": "xoxb-pl4nted-one-123",
    "Google key": "AIza" + "pl4nted-one" * 3 + "ab",
    "service key": "sk_live_pl4ntedone123456789",
    "bot token": "12345678:" + "pl4nted-one" * 3 + "ab",
    "venue key": "pl4nteDone" * 6 + "abcd",
    "venue secret": "pl4nted/one" * 7 + "abcdefghi==",
    "private key in base64": base64.b64encode(b"-----BEGIN PRIVATE KEY-----\nMIIEpl4ntedone\n").decode(),
}


def encodings(value: str) -> dict[str, str]:
    raw = value.encode()
    in_json = json.dumps(value)[1:-1]
    return {
        "plain": value,
        "base64": base64.b64encode(raw).decode(),
        "base64 behind one byte": base64.b64encode(b"x" + raw + b"yz").decode(),
        "base64 behind two bytes": base64.b64encode(b"u:" + raw + b"y").decode(),
        "base64 for URLs": base64.urlsafe_b64encode(b"user:" + raw).decode(),
        "base64 in lines": base64.encodebytes(b"a long beginning of a text, and then: " + raw + b" and more").decode(),
        "URL": quote(value, safe=""),
        "URL with slashes": quote(value),
        "URL in small letters": quote(value, safe="").replace("%2F", "%2f"),
        "form": quote_plus(value),
        "URL twice": quote(quote(value, safe=""), safe=""),
        "JSON": in_json,
        "JSON in UTF-8": json.dumps(value, ensure_ascii=False)[1:-1],
        "JSON in JSON": json.dumps(in_json)[1:-1],
        "JSON of a careful writer": in_json.replace("&", "\\u0026"),
        "JSON with slashes": in_json.replace("/", "\\/"),
        "base64 of JSON": base64.b64encode(json.dumps({"password": value}).encode()).decode(),
        "hex": raw.hex(),
    }
