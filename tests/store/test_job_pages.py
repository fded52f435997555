"""Lists of jobs on each datastore."""

from tests.store.paging_contract import PagingContract


class TestJobPages(PagingContract):
    pass
