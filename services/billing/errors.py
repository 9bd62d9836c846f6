"""The errors billing answers with."""

from __future__ import annotations

from libs.common.errors import AppError, Retry


class PaymentRequired(AppError):
    """The balance is below the price of the call."""

    code = "PAYMENT_REQUIRED"
    http_status = 402


class PaymentFailed(AppError):
    """The payment was not taken."""

    code = "payment_failed"
    http_status = 402


class PaymentUnreadable(AppError):
    """The payment header can't be read."""

    code = "INVALID_DATA"
    http_status = 400


class QuotaExceeded(AppError):
    """The daily quota is used up."""

    code = "quota_exceeded"
    http_status = 429


class ProviderNotConfigured(AppError):
    """This way to pay is not set up here."""

    code = "provider_not_configured"
    http_status = 503


class ProviderFailed(AppError):
    """The payment provider did not answer as it should; nothing was charged."""

    code = "upstream_error"
    http_status = 502
    retry = Retry.LATER


class SignatureInvalid(AppError):
    """The callback is not signed with our secret."""

    code = "INVALID_DATA"
    http_status = 400


class CallbackUnsigned(AppError):
    """The callback is not signed with our secret."""

    code = "not_authenticated"
    http_status = 401


class WalletUnknown(AppError):
    """There is no such key or customer."""

    code = "RET_USER_NOT_FOUND"
    http_status = 404


class BalanceTooLow(AppError):
    """There is less than that to take away."""

    code = "RET_TRADE_NO_MONEY"
    http_status = 409


class InvoiceUnknown(AppError):
    """There is no such invoice."""

    code = "not_found"
    http_status = 404


class NothingOwed(AppError):
    """No commission waits to be paid."""

    code = "not_found"
    http_status = 404


class RequestIdTaken(AppError):
    """Another call has this request id."""

    code = "INVALID_DATA"
    http_status = 400


class BalanceTooHigh(AppError):
    """More than a wallet holds."""

    code = "INVALID_DATA"
    http_status = 400


class CallUnknown(AppError):
    """There is no such call: it was never admitted, or too long ago."""

    code = "NOT_FOUND"
    http_status = 404
