"""What a worker does: run steps, keep their leases, store what they print, take up what a crash left."""
