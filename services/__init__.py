"""The services: each a process that talks to the others only through the bus."""
