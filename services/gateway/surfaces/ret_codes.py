"""RET_ codes of the broker surface and the one table of their HTTP statuses (broker contract 1.3)."""

from __future__ import annotations

from collections.abc import Mapping

_BY_STATUS: Mapping[int, str] = {
    400: "INVALID_DATA ERR_PARAMS ERR_DATA TRADE_BAD_PRICES TRADE_BAD_STOPS TRADE_BAD_VOLUME"
    " TRADE_INVALID_SL_TP TRADE_BAD_CLOSE_TIME TRADE_INCORRECT_STATE TRADE_INCORRECT_CMD"
    " TRADE_INCORRECT_ORDER",
    403: "LICENSE_NOT_ACTIVE TRADE_DISABLE TRADE_READ_ONLY ACCOUNT_DISABLED NOT_ENOUGH_RIGHTS"
    " ERR_PERMISSIONS",
    404: "USER_NOT_FOUND GROUP_NOT_FOUND SEC_NOT_FOUND SYMBOL_NOT_FOUND TRADE_SEC_NOT_FOUND NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    408: "TIMEOUT",
    409: "TRADE_NO_MONEY SYMBOL_USE_BY_TRADE USR_HAS_TRADES USR_LOGIN_EXIST USR_ACCOUNT_EXIST"
    " TRADE_HEDGE_PROHIBITED TRADE_LIMIT_REACHED TRADE_EXIST TRADE_HAS_OPEN DUPLICATE_RECORD CFG_DUPLICATE",
    423: "TRADE_MARKET_CLOSED",
    429: "TOO_FREQUENT ERR_FREQUENT TRADE_TOO_MANY_REQ",
    500: "TRADE_OFFQUOTES TRADE_REQUOTE TRADE_LONG_ONLY TRADE_PROHIBITED_BY_FIFO TRADE_MODIFY_DENIED"
    " TRADE_EXPIRATION_DENIED",
    503: "ERR_NOSERVICE",
    504: "ERR_TIMEOUT",
}

PREFIX = "RET_"
STATUS: Mapping[str, int] = {
    PREFIX + name: status for status, names in _BY_STATUS.items() for name in names.split()
}

# Codes of single endpoints, which carry no prefix.
ENDPOINT_STATUS: Mapping[str, int] = {
    "INVALID_DATA": 400,
    "INVALID_LOGIN": 400,
    "INVALID_USER": 400,
    "INVALID_MARGIN_LEVEL": 400,
    "INVALID_TARGET_PRICE": 400,
    "INVALID_CHANNEL": 400,
    "INVALID_MOVE_THRESHOLD": 400,
    "INVALID_EXPIRES_AT": 400,
    "UPDATE_PASSWORD_ERROR": 401,
    "USER_DISABLED": 402,
    "PERMISSION_DENIED": 403,
    "SYMBOL_NOT_ALLOWED": 403,
    "MODIFY_TRADE_ERROR": 403,
    "USER_NOT_FOUND_OR_INCORRECT": 403,
    "CUSTOMER_NOT_FOUND_OR_INCORRECT": 403,
    "CUSTOMER_DISABLED": 403,
    "OTP_REQUIRED": 403,
    "INVALID_OTP_CODE": 403,
    "OTP_NOT_CONFIGURED": 403,
    "GROUP_NOT_FOUND": 404,
    "SCRIPT_NOT_FOUND": 404,
    "MARKET_WATCH_SYMBOL_NOT_FOUND": 404,
    "NOT_FOUND": 404,
    "DUPLICATE_RECORD": 409,
    "IDEMPOTENCY_IN_FLIGHT": 409,
    "IDEMPOTENCY_MISMATCH": 422,
    "INVALID_ADD_SYMBOL_TO_MARKET_WATCH": 500,
    "INVALID_ADD_SCRIPT": 500,
    "SYNC_TIMEOUT": 504,
}


def documented_status(code: str) -> int:
    """The status a documented code comes with; KeyError for a code nobody knows."""
    return STATUS[code] if code in STATUS else ENDPOINT_STATUS[code]


def status_of(code: str, otherwise: int) -> int:
    """The HTTP status of an error: the table's for RET_ codes (500 when it names none), else the owner's."""
    if code.startswith(PREFIX):
        return STATUS.get(code, 500)
    return otherwise
