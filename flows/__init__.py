"""Prefect flows: each reads like the picture in ARCHITECTURE.md, every step a call into `parking` or `monitoring`."""

from flows.logs import show_in_runs

# Prefect imports a flow by its module in a process of its own: nothing else of ours runs there before it.
show_in_runs()
