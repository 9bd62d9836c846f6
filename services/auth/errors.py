"""What auth refuses, by case. Codes are public and never reused."""

from __future__ import annotations

from libs.common.errors import AppError, InvalidData, PermissionDenied, Retry


class AccountExists(AppError):
    """A person with this e-mail exists."""

    code = "RET_USR_ACCOUNT_EXIST"
    http_status = 409


class LoginExists(AppError):
    """This login is taken."""

    code = "RET_USR_LOGIN_EXIST"
    http_status = 409


class UserDisabled(AppError):
    """The account is disabled."""

    code = "USER_DISABLED"
    http_status = 402


class BadCredentials(AppError):
    """There is no such user, or the password is wrong; which of the two is not told."""

    code = "USER_NOT_FOUND_OR_INCORRECT"
    http_status = 403


class UserNotFound(AppError):
    """There is no such account."""

    code = "RET_USER_NOT_FOUND"
    http_status = 404


class GroupNotFound(AppError):
    """There is no such group of accounts, or it may not be named here."""

    code = "GROUP_NOT_FOUND"
    http_status = 404


class SignUpOff(PermissionDenied):
    """This stack takes no sign-ups."""


class Busy(AppError):
    """Too many passwords are being checked; nothing was done, try again."""

    code = "RET_ERR_NOSERVICE"
    http_status = 503
    retry = Retry.LATER


class TooFrequent(AppError):
    """Too many wrong passwords; Retry-After says when to come back."""

    code = "RET_TOO_FREQUENT"
    http_status = 429
    retry = Retry.LATER

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(retry_after_s=retry_after_s)


class PasswordNotUpdated(AppError):
    """The current password is wrong; nothing was changed."""

    code = "UPDATE_PASSWORD_ERROR"
    http_status = 401


class NotEnoughRights(AppError):
    """This account may not change its password, or the session only reads."""

    code = "RET_NOT_ENOUGH_RIGHTS"
    http_status = 403


class DuplicateRecord(AppError):
    """A customer with this e-mail exists."""

    code = "DUPLICATE_RECORD"
    http_status = 409


class BadCustomer(AppError):
    """There is no such customer, or the password is wrong; which of the two is not told."""

    code = "CUSTOMER_NOT_FOUND_OR_INCORRECT"
    http_status = 403


class CustomerDisabled(AppError):
    """The customer is disabled."""

    code = "CUSTOMER_DISABLED"
    http_status = 403


class OtpRequired(AppError):
    """The password is right; a one-time code is needed, too."""

    code = "OTP_REQUIRED"
    http_status = 403


class BadOtpCode(AppError):
    """The one-time code is wrong, old, or was used before."""

    code = "INVALID_OTP_CODE"
    http_status = 403


class OtpNotConfigured(AppError):
    """A one-time code was given or is needed, but none was ever set up."""

    code = "OTP_NOT_CONFIGURED"
    http_status = 403


class AccountLimitReached(PermissionDenied):
    """This person has as many trading accounts as a person may have."""


class EmailTaken(AppError):
    """A person with this e-mail exists."""

    code = "email_taken"
    http_status = 409


class InvalidCredentials(AppError):
    """There is no such person, or the password is wrong; which of the two is not told."""

    code = "invalid_credentials"
    http_status = 401


class NotSignedIn(AppError):
    """There is no session, or it is over."""

    code = "not_authenticated"
    http_status = 401


class BadKey(AppError):
    """The API key is unknown, taken back or expired, or it may not be used from this address."""

    code = "invalid_agent_key"
    http_status = 401


class TierInsufficient(AppError):
    """A higher tier is needed."""

    code = "tier_insufficient"
    http_status = 403


class KeyNotFound(AppError):
    """There is no such key."""

    code = "not_found"
    http_status = 404


class KeyLimitReached(AppError):
    """This person has as many keys as a person may have; take one back first."""

    code = "key_limit_reached"
    http_status = 409


class BadMailToken(AppError):
    """The token is unknown, expired, or was used before."""

    code = "invalid_token"
    http_status = 400


class EmailNotVerified(AppError):
    """The e-mail address must be verified first."""

    code = "email_not_verified"
    http_status = 403


class ScriptNotFound(AppError):
    """There is no such script."""

    code = "SCRIPT_NOT_FOUND"
    http_status = 404


class ScriptNotAdded(AppError):
    """The account has as many scripts as it may have."""

    code = "INVALID_ADD_SCRIPT"
    http_status = 500


class SettingsFull(InvalidData):
    """This login keeps settings under as many prefixes as it may."""


class OAuthClientUnknown(AppError):
    """There is no such client, or its metadata can't be had."""

    code = "invalid_client"
    http_status = 400


class BadRedirectUri(AppError):
    """The address is none a code may be sent to, or not one of the client's."""

    code = "invalid_redirect_uri"
    http_status = 400


class BadClientMetadata(AppError):
    """The client describes itself as something that is not served here."""

    code = "invalid_client_metadata"
    http_status = 400


class BadGrant(AppError):
    """The code is unknown, expired or used, or it was given to another client, address or verifier."""

    code = "invalid_grant"
    http_status = 400


class BadOAuthRequest(AppError):
    """A field of the request is missing or can't be read."""

    code = "invalid_request"
    http_status = 400


class GrantTypeUnknown(AppError):
    """Only authorization_code is served."""

    code = "unsupported_grant_type"
    http_status = 400


class BadTarget(AppError):
    """The token is asked for another resource than ours."""

    code = "invalid_target"
    http_status = 400
