"""Standalone mode: the processes of a whole system under one supervisor, and their data directory."""
