"""Limits of the sandbox. An expression that exceeds one of them is rejected."""

SOURCE_CHARS = 32_768
NODES = 10_000
# Each level of a syntax tree takes a few Python frames, and the stack of the caller may be deep already.
DEPTH = 150
# The nesting of a value in a function that walks through it. A cyclic value exceeds this limit.
VALUE_DEPTH = 100
# One step is about one evaluated node, one visited item or 16 copied characters. All steps take about one
# second in total.
STEPS = 1_000_000
TEXT_CHARS = 1_000_000
# All values of a map that is loaded on demand, such as the results of a large job.
LOADED_CHARS = 32_000_000
TEMPLATE_CHARS = 4_000_000
TEMPLATE_EXPRESSIONS = 1_000
PATTERN_CHARS = 4_096
LAYOUT_CHARS = 200
# Longer expressions are not cached, because they would take too much memory.
CACHED_CHARS = 2_048
CACHED_PROGRAMS = 1_024
# The length of the quotation of an expression in an error message.
QUOTED_CHARS = 120
