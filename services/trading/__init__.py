"""Trading: margin accounts, trades, pending orders, the ledger of account money."""
