"""Drills on real processes and servers: killed, starved, loaded, stopped; and the table of what they survived."""
