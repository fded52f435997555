"""The pages, a module each. `add_routes` adds the routes of a page to the blueprint."""
