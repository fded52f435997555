"""What coordinators do: take jobs in, move them on, and see that nothing stays behind."""
