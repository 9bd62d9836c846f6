"""The outsiders that take money, one file each."""
