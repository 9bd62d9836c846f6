"""The agents' door: MCP on the gateway's own origin, its tools made from the endpoint table.

``handlers.py`` is the door itself; ``catalogue.py`` says which rows are tools; ``calls.py`` calls them as
REST would; ``server.py`` holds the official SDK and is imported when somebody comes first, since it is large.
"""
