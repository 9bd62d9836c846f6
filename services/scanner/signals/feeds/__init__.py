"""Where texts about assets come from. Off by default; nothing is scraped, links are kept and no bodies."""
