"""From the text of an expression to its syntax tree, by tables that are built once."""

from collections.abc import Callable
from functools import cache, partial
from typing import cast

from lark import Lark, Token, Transformer
from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken
from lark.visitors import v_args

from tork_celery.expr import limits, literals, precedence
from tork_celery.expr.errors import ExpressionError, Fault
from tork_celery.expr.grammar import GRAMMAR
from tork_celery.expr.nodes import (
    Call,
    Chain,
    Conditional,
    Let,
    ListOf,
    Literal,
    Loop,
    MapOf,
    Member,
    Method,
    Name,
    Node,
    Pointer,
    Sequence,
    Slice,
)
from tork_celery.expr.precedence import Infix, Part, Piped, Prefix

# An operand with its prefix operators is a run already.
Operand = Node | list[Part]
_TAKE_ORDER = frozenset({"sortBy", "reduce"})
_MAY_LACK_BODY = frozenset({"count", "sum"})


def parse(source: str) -> Node:
    """Promise a tree that keeps the limits of size and depth.

    Raises ExpressionError, with the place, for anything that is not an expression.
    """
    if len(source) > limits.SOURCE_CHARS:
        raise ExpressionError(f"the expression is longer than {limits.SOURCE_CHARS} characters", source)
    try:
        return cast(Node, _tables().parse(source))
    except UnexpectedInput as error:
        raise _unexpected(error, source) from None
    except Fault as fault:
        raise ExpressionError(fault.reason, source, fault.at) from None
    except RecursionError:
        raise ExpressionError("the expression is nested too deeply", source) from None


def _unexpected(error: UnexpectedInput, source: str) -> ExpressionError:
    if isinstance(error, UnexpectedCharacters):
        at = error.pos_in_stream or 0
        char = source[at]
        if char in "\"'`":
            return ExpressionError("the string is not closed", source, at)
        return ExpressionError(f"unexpected character {char!a}", source, at)
    token = cast(UnexpectedToken, error).token
    if token.type == "$END":
        return ExpressionError("the expression ends too early", source, len(source.rstrip()))
    return ExpressionError(f"unexpected {_shown(token)}", source, token.start_pos)


def _shown(token: Token) -> str:
    return ascii(str(token)[: limits.QUOTED_CHARS])


@cache
def _tables() -> Lark:
    return Lark(GRAMMAR, parser="lalr", lexer="basic", maybe_placeholders=False, transformer=_Tree())


def _at(token: Token) -> int:
    return token.start_pos or 0


def _linked(base: Node, build: Callable[[Node], Node], *, optional: bool) -> Node:
    """A step after `?.` belongs to its chain, which stops as a whole."""
    chained = isinstance(base, Chain)
    link = build(base.link if isinstance(base, Chain) else base)
    return Chain(at=link.at, link=link) if chained or optional else link


def _loop(name: Token, items: Node, body: Node | None = None, extra: Node | None = None) -> Node:
    if extra and name not in _TAKE_ORDER:
        raise Fault(f"{name} takes fewer arguments", extra.at)
    if not body and name not in _MAY_LACK_BODY:
        raise Fault(f"{name} needs a predicate", _at(name))
    return Loop(at=_at(name), name=str(name), items=items, body=body, extra=extra)


@v_args(inline=True)
class _Tree(Transformer[Token, Node]):
    """One method for each form of the grammar; called as soon as the form is read."""

    def start(self, seq: list[Node], _: Token | None = None) -> Node:
        return self.group(seq)

    def group(self, seq: list[Node]) -> Node:
        return seq[0] if len(seq) == 1 else Sequence(at=seq[0].at, nodes=seq)

    def parenthesized(self, seq: list[Node]) -> Node:
        inner = self.group(seq)
        return Sequence(at=inner.at, nodes=[inner]) if isinstance(inner, MapOf) else inner

    # Lists are grown in place: each is used once.

    def first(self, item: object) -> list[object]:
        return [item]

    def further(self, items: list[object], item: object) -> list[object]:
        items.append(item)
        return items

    # A run of operators.

    def prefix(self, token: Token) -> Prefix:
        return Prefix(str(token), _at(token))

    def prefixed(self, prefixes: list[Part], primary: Node) -> list[Part]:
        return [*prefixes, primary]

    def infix(self, token: Token) -> Infix:
        return Infix(str(token), _at(token))

    def not_infix(self, _: Token, token: Token) -> Infix:
        return Infix(str(token), _at(token), negated=True)

    def run(self, left: Operand, infix: Infix | Token, right: Operand | Piped) -> list[Part]:
        """Grown in place as well: each run is the left part of one other at most."""
        parts: list[Part] = left if isinstance(left, list) else [left]
        parts.append(Infix("|", _at(infix)) if isinstance(infix, Token) else infix)
        parts += right if isinstance(right, list) else [right]
        return parts

    def tree(self, run: list[Part]) -> Node:
        return precedence.tree(run)

    def piped_call(self, name: Token, args: list[Node]) -> Piped:
        return lambda left: Call(at=_at(name), name=str(name), args=[left, *args])

    def piped_loop(self, name: Token, *rest: Node) -> Piped:
        return lambda left: _loop(name, left, *rest)

    # Forms that choose or name.

    def ternary(self, condition: Node, then: Node, other: Node) -> Node:
        return Conditional(at=condition.at, condition=condition, then=then, other=other)

    def elvis(self, condition: Node, other: Node) -> Node:
        return Conditional(at=condition.at, condition=condition, then=None, other=other)

    def if_else(
        self,
        word: Token,
        condition: Node,
        then: list[Node],
        _: Token,
        other: Node | list[Node],
    ) -> Node:
        last = self.group(other) if isinstance(other, list) else other
        return Conditional(at=_at(word), condition=condition, then=self.group(then), other=last)

    def let(self, _: Token, name: Token, value: Node, body: list[Node]) -> Node:
        return Let(at=_at(name), name=str(name), value=value, body=self.group(body))

    # Operands.

    def number(self, token: Token) -> Node:
        return Literal(at=_at(token), value=literals.number(token, _at(token)))

    def true(self, token: Token) -> Node:
        return Literal(at=_at(token), value=True)

    def false(self, token: Token) -> Node:
        return Literal(at=_at(token), value=False)

    def nil(self, token: Token) -> Node:
        return Literal(at=_at(token), value=None)

    def string(self, token: Token) -> Node:
        return Literal(at=_at(token), value=literals.string(token, _at(token)))

    def raw(self, token: Token) -> Node:
        return Literal(at=_at(token), value=literals.raw(token))

    def name(self, token: Token) -> Node:
        return Name(at=_at(token), name=str(token))

    def pointer(self, token: Token) -> Node:
        return Pointer(at=_at(token), name=str(token[1:]))

    def list_of(self, items: list[Node] | None = None) -> Node:
        return ListOf(at=items[0].at if items else 0, items=items or [])

    def map_of(self, pairs: list[tuple[Node, Node]] | None = None) -> Node:
        return MapOf(at=pairs[0][0].at if pairs else 0, pairs=pairs or [])

    def pair(self, key: Node, value: Node) -> tuple[Node, Node]:
        return key, value

    def word_key(self, token: Token) -> Node:
        return Literal(at=_at(token), value=str(token))

    def key(self, token: Token) -> Token:
        return token

    # What may follow an operand.

    def args(self, exprs: list[Node] | None = None) -> list[Node]:
        return exprs or []

    def body(self, body: Node | list[Node]) -> Node:
        """Braces around a predicate are its own; a map needs another pair."""
        if isinstance(body, list):
            return self.group(body)
        if isinstance(body, MapOf):
            raise Fault("a predicate that is a map needs braces around the map", body.at)
        return body

    def call(self, name: Token, args: list[Node]) -> Node:
        return Call(at=_at(name), name=str(name), args=args)

    def loop(self, name: Token, *rest: Node) -> Node:
        return _loop(name, *rest)

    def pointer_member(self, dot: Token, key: Token) -> Node:
        return self.member(Pointer(at=_at(dot), name=""), dot, key)

    def pointer_method(self, dot: Token, key: Token, args: list[Node]) -> Node:
        return self.method(Pointer(at=_at(dot), name=""), dot, key, args)

    def member(self, base: Node, dot: Token, key: Token) -> Node:
        optional = dot.type == "QDOT"
        made = partial(Member, at=_at(key), key=Literal(at=_at(key), value=str(key)), optional=optional)
        return _linked(base, lambda node: made(base=node), optional=optional)

    def method(self, base: Node, dot: Token, key: Token, args: list[Node]) -> Node:
        optional = dot.type == "QDOT"
        made = partial(Method, at=_at(key), name=str(key), args=args, optional=optional)
        return _linked(base, lambda node: made(base=node), optional=optional)

    def index(self, base: Node, bracket: Token, key: Node) -> Node:
        return _linked(base, lambda node: Member(at=_at(bracket), base=node, key=key), optional=False)

    def optional_index(self, base: Node, dot: Token, _: Token, key: Node) -> Node:
        made = partial(Member, at=_at(dot), key=key, optional=True)
        return _linked(base, lambda node: made(base=node), optional=True)

    def slice(self, base: Node, bracket: Token, *bounds: Node | Token) -> Node:
        colon = next(place for place, part in enumerate(bounds) if isinstance(part, Token))
        start, stop = (bounds[:colon] or (None,))[0], (bounds[colon + 1 :] or (None,))[0]
        made = partial(Slice, at=_at(bracket), start=cast(Node | None, start), stop=cast(Node | None, stop))
        return _linked(base, lambda node: made(base=node), optional=False)
