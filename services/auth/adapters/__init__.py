"""What works outside the event loop or outside the process."""
