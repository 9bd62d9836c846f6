"""One good request per row about people: path and body."""

from __future__ import annotations

from typing import Any

PASSWORD = "secret-1"
SCRIPT = {"login": 7, "name": "trend", "script": "plot(sma(20))"}
USER = {"email": "ann@example.com", "password": PASSWORD}

IDENTITY: dict[str, tuple[str, dict[str, Any] | None]] = {
    "PUT /account/password": (
        "/account/password",
        {"login": 7, "password": PASSWORD, "new_password": "secret-2"},
    ),
    "POST /customer/registration": ("/customer/registration", USER),
    "POST /customer/auth/login": ("/customer/auth/login", USER),
    "GET /customer/session/accounts": ("/customer/session/accounts", None),
    "POST /customer/accounts": ("/customer/accounts", {}),
    "GET /customer/auth/otp": ("/customer/auth/otp", None),
    "PUT /customer/auth/otp": ("/customer/auth/otp", {"secret": "JBSWY3DPEHPK3PXP", "code": "123456"}),
    "POST /customer/auth/otp/check": ("/customer/auth/otp/check", {"code": "123456"}),
    "GET /scripts": ("/scripts?login=7", None),
    "GET /script/{id}": ("/script/1", None),
    "POST /script": ("/script", SCRIPT),
    "PUT /script": ("/script", {**SCRIPT, "id": 1}),
    "DELETE /script": ("/script", {"id": 1}),
    "DELETE /script/{id}": ("/script/1", None),
    "GET /settings": ("/settings?login=7", None),
    "PUT /settings": ("/settings", {"login": 7, "prefix": "web", "settings": {"a": 1}}),
    "POST /auth/signup": ("/auth/signup", USER),
    "POST /auth/login": ("/auth/login", USER),
    "POST /auth/logout": ("/auth/logout", None),
    "GET /auth/me": ("/auth/me", None),
    "POST /auth/email/send": ("/auth/email/send", None),
    "POST /auth/email/verify": ("/auth/email/verify", {"token": "t"}),
    "POST /auth/password/forgot": ("/auth/password/forgot", {"email": "ann@example.com"}),
    "POST /auth/password/reset": ("/auth/password/reset", {"token": "t", "password": PASSWORD}),
    **{f"POST {folder}": (folder, {"name": "mine"}) for folder in ("/api/v1/keys", "/auth/keys")},
    **{f"GET {folder}": (folder, None) for folder in ("/api/v1/keys", "/auth/keys")},
    **{f"DELETE {folder}/{{id}}": (f"{folder}/key_1", None) for folder in ("/api/v1/keys", "/auth/keys")},
    "POST /v1/keys": ("/v1/keys", {"email": "ann@example.com"}),
    "POST /oauth/register": ("/oauth/register", {"redirect_uris": ["https://app.example/back"]}),
    "GET /admin/users/{login}": ("/admin/users/7", None),
    "PUT /admin/users/{login}": ("/admin/users/7", {"comment": "c"}),
    "POST /admin/sso": ("/admin/sso", {"login": 7}),
    "GET /admin/customers": ("/admin/customers?customerId=1", None),
    "PUT /admin/customers": ("/admin/customers", {"customerId": 1, "enable": 1}),
    "POST /admin/tier": ("/admin/tier", {"email": "ann@example.com", "tier": "pro"}),
    "GET /admin/staff": ("/admin/staff", None),
    "POST /admin/staff": ("/admin/staff", {"name": "Max", "password": PASSWORD, "type": 1}),
    "PUT /admin/staff/{login}": ("/admin/staff/2", {"enable": 1}),
    "POST /admin/keys/rotate": ("/admin/keys/rotate", None),
    "GET /admin/audit/check": ("/admin/audit/check", None),
}
