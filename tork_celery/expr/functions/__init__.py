"""The functions of the language, by family."""

from tork_celery.expr.functions import dates, encoding, lists, maps, numbers, strings
from tork_celery.expr.signatures import Function

FUNCTIONS: dict[str, Function] = {
    function.name: function
    for family in (strings, numbers, lists, maps, encoding, dates)
    for function in family.FUNCTIONS
}
