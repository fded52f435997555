from store.stores import database

__all__ = ["database"]
