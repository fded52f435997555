"""UTF-8, in which the language counts positions in strings. Unpaired surrogates are tolerated."""


def encode(text: str) -> bytes:
    """Encode a string; an unpaired surrogate takes three bytes."""
    return text.encode("utf-8", "surrogatepass")


def decode(data: bytes) -> str:
    """Decode bytes; an incomplete character becomes the replacement character."""
    return data.decode("utf-8", "replace")
