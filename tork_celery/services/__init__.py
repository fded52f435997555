"""Use cases of coordinators: submit, control, advance and watch jobs."""
