import pytest

pytest.register_assert_rewrite(
    "tests.runtime.exchange_contract", "tests.runtime.runtime_contract", "tests.runtime.steps"
)
