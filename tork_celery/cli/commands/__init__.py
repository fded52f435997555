"""The commands, one module for each or for a few of a kind. `cli.main` imports them by name."""
