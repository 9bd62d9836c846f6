"""Invoices: their lines, and the page to print. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from libs.common.messages.billing_payments import Invoice, InvoiceLine

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Invoice {number}</title>
<style>
@page {{ size: A4; margin: 20mm }}
body {{ font: 11pt/1.45 system-ui, sans-serif; color: #111; max-width: 170mm; margin: 2rem auto }}
h1 {{ font-size: 20pt; margin: 0 0 1.5rem }} table {{ width: 100%; border-collapse: collapse }}
td, th {{ padding: .45rem 0; border-bottom: 1px solid #ccc; text-align: left }}
td:last-child, th:last-child {{ text-align: right; font-variant-numeric: tabular-nums }}
tfoot td {{ font-weight: 600; border-bottom: 0 }} dl {{ display: grid; grid-template-columns: 8rem 1fr }}
dt {{ color: #555 }} dd {{ margin: 0 }}
</style></head><body>
<h1>Invoice {number}</h1>
<dl><dt>From</dt><dd>Tradewind</dd><dt>To</dt><dd>{customer}</dd><dt>Date</dt><dd>{date}</dd>
<dt>Status</dt><dd>{status}</dd><dt>Payment</dt><dd>{payment}</dd></dl>
<table><thead><tr><th>What</th><th>USD</th></tr></thead><tbody>
{lines}
</tbody><tfoot><tr><td>Total</td><td>{total}</td></tr></tfoot></table>
</body></html>
"""


def usd_text(micros: int) -> str:
    """Dollars as a decimal text: two places, up to six where the amount has them."""
    sign, micros = ("-", -micros) if micros < 0 else ("", micros)
    whole, part = divmod(micros, 1_000_000)
    places = f"{part:06d}".rstrip("0").ljust(2, "0")
    return f"{sign}{whole}.{places}"


def usd(micros: int) -> float:
    """Dollars as a JSON number; a whole amount prints without a fraction where the reader allows."""
    return micros / 1_000_000


def plan_line(plan: str, period: str, micros: int) -> InvoiceLine:
    """A plan."""
    return InvoiceLine(text=f"{plan.capitalize()}, one {period}", amount_usd=usd_text(micros))


def topup_line(micros: int) -> InvoiceLine:
    """Credit that was paid in."""
    return InvoiceLine(text="Credit", amount_usd=usd_text(micros))


def html(invoice: Invoice) -> str:
    """The invoice as a page that prints on one sheet."""
    return _PAGE.format(
        number=invoice.number,
        customer=escape(invoice.customer),
        date=escape(invoice.issued_at[:10]),
        status=escape(invoice.status),
        payment=escape(invoice.payment_id),
        lines=_rows(invoice.lines),
        total=escape(invoice.total_usd),
    )


def _rows(lines: Sequence[InvoiceLine]) -> str:
    return "\n".join(
        f"<tr><td>{escape(line.text)}</td><td>{escape(line.amount_usd)}</td></tr>" for line in lines
    )
