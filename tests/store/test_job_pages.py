"""Lists of jobs on each datastore."""

from store.paging_contract import PagingContract


class TestJobPages(PagingContract):
    pass
