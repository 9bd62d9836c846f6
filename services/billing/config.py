"""What billing reads from the environment."""

from __future__ import annotations

from libs.common.config import ServiceConfig


class BillingConfig(ServiceConfig, frozen=True, kw_only=True):
    """Billing's part of the settings."""

    plans_file: str = ""
    public_url: str = ""
    http_host: str = "127.0.0.1"
    http_port: int = 8080
    signals_metered: str = "on"
    x402_pay_to: str = ""
    x402_facilitator_url: str = "https://x402.org/facilitator"
    x402_network: str = "base"
    stripe_secret_key: str = ""
    stripe_webhook_secret: str = ""
    stripe_api_url: str = "https://api.stripe.com"
    nowpayments_api_key: str = ""
    nowpayments_api_url: str = "https://api.nowpayments.io"
    nowpayments_ipn_secret: str = ""

    @property
    def base_url(self) -> str:
        """Where clients reach the house."""
        return (self.public_url or f"http://{self.http_host}:{self.http_port}").rstrip("/")
