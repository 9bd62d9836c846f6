"""The till of the contract tests, for strangers."""

from tests.contract.billing.conftest import counter, till

__all__ = ["counter", "till"]
