"""Runtimes, which run steps in containers of a Docker engine or as processes of this host."""
