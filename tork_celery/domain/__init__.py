"""The pure core: jobs and tasks, and the decisions about them. It does no I/O and reads no clock."""
