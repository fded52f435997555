"""Built-in functions, predicate functions and methods.

`FUNCTIONS` holds the functions by name. Functions that take a predicate are in `predicates`, methods of times
and durations in `methods`.
"""

from tork_celery.expr.builtins import dates, encoding, lists, maps, numbers, strings
from tork_celery.expr.builtins.signatures import Function

FUNCTIONS: dict[str, Function] = {
    function.name: function
    for module in (strings, numbers, lists, maps, encoding, dates)
    for function in module.FUNCTIONS
}
