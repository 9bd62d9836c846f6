"""What auth counts; everything is registered at start."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

sign_ups = Counter("tradewind_auth_sign_ups", "People who signed up", ["door"])
sign_ins = Counter("tradewind_auth_sign_ins", "Sign-ins by outcome", ["door", "outcome"])
hashing_waiting = Gauge("tradewind_auth_hashing_waiting_calls", "Passwords being hashed or waiting to be")
doors_waiting = Gauge("tradewind_auth_doors_waiting_calls", "Calls that wait to have a password checked")
hashing_seconds = Histogram(
    "tradewind_auth_hashing_seconds",
    "Time to hash or check a password, waiting included",
    buckets=(0.01, 0.02, 0.03, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)

for _door in ("broker", "customer", "scan", "staff"):
    sign_ups.labels(_door)
    for _outcome in ("ok", "refused", "throttled"):
        sign_ins.labels(_door, _outcome)
