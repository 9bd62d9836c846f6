"""Service levels, alert rules and their runbooks; the files Prometheus reads are made from here."""
