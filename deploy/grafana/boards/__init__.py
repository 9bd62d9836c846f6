"""Every board of the house."""

from __future__ import annotations

from deploy.grafana.boards.edge import GATEWAY, OVERVIEW, SERVICE
from deploy.grafana.boards.ground import NATS, POSTGRES
from deploy.grafana.boards.money import BILLING, PRICING, TRADING
from deploy.grafana.boards.watching import ALERTS, MARKET, SCANNER

BOARDS = (OVERVIEW, GATEWAY, MARKET, ALERTS, TRADING, SCANNER, PRICING, BILLING, NATS, POSTGRES, SERVICE)
