"""Lists of jobs on SQLite."""

from store.paging_contract import PagingContract


class TestPagesOnSqlite(PagingContract):
    pass
