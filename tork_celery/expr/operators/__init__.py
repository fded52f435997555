"""Operators on values. All of them check the types of their operands."""
