"""Bounds of the sandbox: an expression that passes one of them is refused."""

SOURCE_CHARS = 32_768
NODES = 10_000
# Every level of a syntax tree takes a few Python frames, and the caller's own stack may be deep already.
DEPTH = 150
# How deep a value may be nested where a function walks through it; a cyclic value ends here too.
VALUE_DEPTH = 100
# One step is about one node evaluated, one item visited, or a few characters copied: about a second in all.
STEPS = 1_000_000
TEXT_CHARS = 1_000_000
TEMPLATE_CHARS = 4_000_000
TEMPLATE_HOLES = 1_000
PATTERN_CHARS = 4_096
LAYOUT_CHARS = 200
# Only expressions of usual length are worth their memory in the cache.
CACHED_CHARS = 2_048
CACHED_PROGRAMS = 1_024
# What of an expression is quoted in a message.
QUOTED_CHARS = 120

INT_MIN = -(2**63)
INT_MAX = 2**63 - 1
