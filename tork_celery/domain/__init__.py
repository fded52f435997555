"""The pure core: what jobs and tasks are, and what follows from what. No I/O, no clock, no environment."""
