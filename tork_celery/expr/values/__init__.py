"""Values: their types, and their textual forms, which are those of Go."""
