"""Host functions with known results."""

import random
from datetime import UTC, datetime

from tork_celery.expr import HostFunctions

FIXED_TIME = datetime(2024, 2, 29, 13, 5, 9, 250_000, tzinfo=UTC)
HOST = HostFunctions(now=lambda: FIXED_TIME, randbelow=random.Random(0).randrange)
