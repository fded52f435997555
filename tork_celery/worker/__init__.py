"""The worker: runs steps, renews leases, stores output, recovers after a crash."""
