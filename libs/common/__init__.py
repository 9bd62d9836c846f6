"""What every service shares. It knows no service."""
