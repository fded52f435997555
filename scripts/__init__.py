"""What the targets of the Makefile run, and the servers, engine and images that the tests use."""
