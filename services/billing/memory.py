"""What this process wrote last: wallets, and calls it holds money for. Pure.

A batch that is all about rows in here needs not read them. That is safe because the write compares: where a
row is no longer as it is remembered the whole batch fails, is forgotten here, and is decided on locked rows.
So this is never wrong about money, only sometimes of no use.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from libs.common.errors import AppError
from services.billing.meter import Book, Direct, Hold, MeteredCall, Outcome, Request, State, Wallet

WALLETS_MAX = 20_000
CALLS_MAX = 50_000


class Memory:
    """One per process."""

    def __init__(self) -> None:
        self._wallets: dict[str, Wallet] = {}
        self._calls: dict[str, MeteredCall] = {}

    def book(self, requests: Sequence[Request]) -> Book | None:
        """The rows a batch touches; None when they must be read (quotas always are)."""
        wallets: dict[str, Wallet] = {}
        calls: dict[str, MeteredCall] = {}
        for request in requests:
            if isinstance(request, (Hold, Direct)):
                if isinstance(request, Hold) and request.quota:
                    return None
                name = request.wallet
            else:
                call = self._calls.get(request.request_id)
                if call is None:
                    return None
                calls[call.request_id] = replace(call)
                name = call.wallet
            wallet = self._wallets.get(name)
            if wallet is None:
                return None
            wallets[name] = replace(wallet)
        return Book(wallets=wallets, calls=calls, quotas={})

    def decided(self, book: Book, results: Sequence[Outcome | AppError]) -> bool:
        """Whether the write notices a row that is not as remembered; refusals are never from memory."""
        if any(isinstance(result, AppError) for result in results):
            return False
        return book.moved == book.wallets.keys()

    def keep(self, book: Book) -> None:
        """These rows are committed."""
        if len(self._wallets) > WALLETS_MAX or len(self._calls) > CALLS_MAX:
            self.clear()
        for name, wallet in book.wallets.items():
            if wallet.account_id:
                self._wallets[name] = replace(wallet)
        for request_id, call in book.calls.items():
            if call.state is State.HELD and not call.quota:
                self._calls[request_id] = replace(call)
            else:
                self._calls.pop(request_id, None)

    def forget(self, book: Book) -> None:
        """Nobody knows any more how these are."""
        for name in book.wallets:
            self._wallets.pop(name, None)
        for request_id in book.calls:
            self._calls.pop(request_id, None)

    def clear(self) -> None:
        """Begin again."""
        self._wallets.clear()
        self._calls.clear()
