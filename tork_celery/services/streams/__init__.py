"""Streams of events: what has changed, as clients of the API follow it.

A stream begins with the state of its topics. One thread of each process reads what changes afterwards, once
for all streams.
"""
