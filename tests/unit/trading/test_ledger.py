"""The ledger: every entry sums to zero, whatever is booked."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.errors import InvariantBroken
from services.trading.ledger import Entry, Kind, LedgerAccount, Posting, Reason, finance

amounts = st.integers(1, 10**15)
FINANCE = (Reason.BALANCE_IN, Reason.BALANCE_OUT, Reason.CREDIT_IN, Reason.CREDIT_OUT)
INWARDS = (Reason.BALANCE_IN, Reason.CREDIT_IN)
FINANCE = (*INWARDS, Reason.BALANCE_OUT, Reason.CREDIT_OUT)


@given(st.lists(st.tuples(st.sampled_from(FINANCE), st.integers(1, 5), amounts), max_size=50))
def test_any_series_of_operations_leaves_a_sum_of_zero_and_balances_that_are_their_postings(
    operations: list[tuple[Reason, int, int]],
) -> None:
    held: Counter[LedgerAccount] = Counter()
    balance: Counter[int] = Counter()
    for reason, login, amount in operations:
        signed = amount if reason in INWARDS else -amount
        for posting in finance(reason, login, "USD", signed).postings:
            held[posting.account] += posting.amount_minor
        if reason in (Reason.BALANCE_IN, Reason.BALANCE_OUT):
            balance[login] += signed
    assert sum(held.values()) == 0
    for login, amount in balance.items():
        assert held[LedgerAccount(Kind.BALANCE, login, "USD")] == amount


@pytest.mark.parametrize(
    ("reason", "amount"), [(Reason.BALANCE_IN, -1), (Reason.CREDIT_OUT, 5), (Reason.BALANCE_IN, 0)]
)
def test_an_operation_with_the_wrong_sign_is_a_defect(reason: Reason, amount: int) -> None:
    with pytest.raises(InvariantBroken, match="the sign of an amount"):
        finance(reason, 1, "USD", amount)


def test_an_entry_that_does_not_sum_to_zero_cannot_be_made() -> None:
    account = LedgerAccount(Kind.BALANCE, 1, "USD")
    with pytest.raises(InvariantBroken, match="sums to zero"):
        Entry(Reason.BALANCE_IN, (Posting(account, 5),))
    with pytest.raises(InvariantBroken, match="an account stands once"):
        Entry(Reason.BALANCE_IN, (Posting(account, 5), Posting(account, -5)))
    other = LedgerAccount(Kind.DEPOSITS, 0, "EUR")
    with pytest.raises(InvariantBroken, match="one currency"):
        Entry(Reason.BALANCE_IN, (Posting(account, 5), Posting(other, -5)))
