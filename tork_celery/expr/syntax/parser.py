"""The parser: from the text of an expression to its syntax tree."""

from collections.abc import Callable
from functools import cache, partial
from typing import cast

from lark import Lark, Token, Transformer
from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken
from lark.visitors import v_args

from tork_celery.expr import limits
from tork_celery.expr.errors import ExpressionError, LanguageError
from tork_celery.expr.syntax import ast, literals
from tork_celery.expr.syntax.ast import Node
from tork_celery.expr.syntax.grammar import GRAMMAR
from tork_celery.expr.syntax.precedence import Infix, Part, PipedCall, Prefix, build_tree

# A prefixed operand is a list of its operators and the operand.
_Operand = Node | list[Part]
_WITH_EXTRA_ARGUMENT = frozenset({"sortBy", "reduce"})
_WITH_OPTIONAL_PREDICATE = frozenset({"count", "sum"})


def parse(source: str) -> Node:
    """Parse an expression. Raises ExpressionError if it is invalid, too long or nested too deeply."""
    if len(source) > limits.SOURCE_CHARS:
        raise ExpressionError(f"the expression is longer than {limits.SOURCE_CHARS} characters", source)
    try:
        return cast(Node, _parser().parse(source))
    except UnexpectedInput as error:
        raise _syntax_error(error, source) from None
    except LanguageError as error:
        raise ExpressionError(error.reason, source, error.offset) from None
    except RecursionError:
        raise ExpressionError("the expression is nested too deeply", source) from None


def _syntax_error(error: UnexpectedInput, source: str) -> ExpressionError:
    if isinstance(error, UnexpectedCharacters):
        offset = error.pos_in_stream or 0
        char = source[offset]
        if char in "\"'`":
            return ExpressionError("the string is not closed", source, offset)
        return ExpressionError(f"unexpected character {char!a}", source, offset)
    token = cast(UnexpectedToken, error).token
    if token.type == "$END":
        return ExpressionError("unexpected end of the expression", source, len(source.rstrip()))
    quoted = ascii(str(token)[: limits.QUOTED_CHARS])
    return ExpressionError(f"unexpected {quoted}", source, token.start_pos)


@cache
def _parser() -> Lark:
    """Build the parser tables, which takes a fraction of a second, once per process."""
    return Lark(GRAMMAR, parser="lalr", lexer="basic", maybe_placeholders=False, transformer=_TreeBuilder())


def _offset(token: Token) -> int:
    return token.start_pos or 0


def _link(base: Node, build: Callable[[Node], Node], *, optional: bool) -> Node:
    """Build a member access or call on `base`, and extend its chain if `base` or the link is optional."""
    link = build(base.link if isinstance(base, ast.Chain) else base)
    return ast.Chain(offset=link.offset, link=link) if optional or isinstance(base, ast.Chain) else link


def _predicate_call(
    name: Token, items: Node, predicate: Node | None = None, extra: Node | None = None
) -> Node:
    if extra and name not in _WITH_EXTRA_ARGUMENT:
        raise LanguageError(f"{name} takes fewer arguments", extra.offset)
    if not predicate and name not in _WITH_OPTIONAL_PREDICATE:
        raise LanguageError(f"{name} needs a predicate", _offset(name))
    return ast.PredicateCall(
        offset=_offset(name), name=str(name), items=items, predicate=predicate, extra=extra
    )


@v_args(inline=True)
class _TreeBuilder(Transformer[Token, Node]):
    """Builds nodes while the parser runs. The names of its methods are those of rules of the grammar."""

    # Sequences and lists. Lists are extended in place, because each is used once.

    def start(self, sequence: list[Node], _: Token | None = None) -> Node:
        return self.group(sequence)

    def group(self, sequence: list[Node]) -> Node:
        return sequence[0] if len(sequence) == 1 else ast.Sequence(offset=sequence[0].offset, nodes=sequence)

    def parenthesized(self, sequence: list[Node]) -> Node:
        """Wrap a map, so that it is not mistaken for the braces of a predicate."""
        inner = self.group(sequence)
        return (
            ast.Sequence(offset=inner.offset, nodes=[inner]) if isinstance(inner, ast.MapLiteral) else inner
        )

    def first(self, item: object) -> list[object]:
        return [item]

    def append(self, items: list[object], item: object) -> list[object]:
        items.append(item)
        return items

    # Operations.

    def prefix(self, token: Token) -> Prefix:
        return Prefix(str(token), _offset(token))

    def prefixed(self, prefixes: list[Part], primary: Node) -> list[Part]:
        return [*prefixes, primary]

    def infix(self, token: Token) -> Infix:
        return Infix(str(token), _offset(token))

    def negated_infix(self, _: Token, token: Token) -> Infix:
        return Infix(str(token), _offset(token), negated=True)

    def operation(self, left: _Operand, infix: Infix | Token, right: _Operand | PipedCall) -> list[Part]:
        parts: list[Part] = left if isinstance(left, list) else [left]
        parts.append(Infix("|", _offset(infix)) if isinstance(infix, Token) else infix)
        parts += right if isinstance(right, list) else [right]
        return parts

    def tree(self, parts: list[Part]) -> Node:
        return build_tree(parts)

    def piped_call(self, name: Token, args: list[Node]) -> PipedCall:
        return lambda left: ast.Call(offset=_offset(name), name=str(name), args=[left, *args])

    def piped_predicate_call(self, name: Token, *rest: Node) -> PipedCall:
        return lambda left: _predicate_call(name, left, *rest)

    # Conditionals and variables.

    def ternary(self, condition: Node, then: Node, otherwise: Node) -> Node:
        return ast.Conditional(offset=condition.offset, condition=condition, then=then, otherwise=otherwise)

    def elvis(self, condition: Node, otherwise: Node) -> Node:
        return ast.Conditional(offset=condition.offset, condition=condition, then=None, otherwise=otherwise)

    def if_else(
        self,
        word: Token,
        condition: Node,
        then: list[Node],
        _: Token,
        otherwise: Node | list[Node],
    ) -> Node:
        last = self.group(otherwise) if isinstance(otherwise, list) else otherwise
        return ast.Conditional(
            offset=_offset(word), condition=condition, then=self.group(then), otherwise=last
        )

    def let(self, _: Token, name: Token, value: Node, body: list[Node]) -> Node:
        return ast.Let(offset=_offset(name), name=str(name), value=value, body=self.group(body))

    # Literals and names.

    def number(self, token: Token) -> Node:
        return ast.Literal(offset=_offset(token), value=literals.parse_number(token, _offset(token)))

    def true(self, token: Token) -> Node:
        return ast.Literal(offset=_offset(token), value=True)

    def false(self, token: Token) -> Node:
        return ast.Literal(offset=_offset(token), value=False)

    def nil(self, token: Token) -> Node:
        return ast.Literal(offset=_offset(token), value=None)

    def string(self, token: Token) -> Node:
        return ast.Literal(offset=_offset(token), value=literals.parse_string(token, _offset(token)))

    def raw_string(self, token: Token) -> Node:
        return ast.Literal(offset=_offset(token), value=literals.parse_raw_string(token))

    def name(self, token: Token) -> Node:
        return ast.Name(offset=_offset(token), name=str(token))

    def pointer(self, token: Token) -> Node:
        return ast.Pointer(offset=_offset(token), name=str(token[1:]))

    def list_literal(self, items: list[Node] | None = None) -> Node:
        return ast.ListLiteral(offset=items[0].offset if items else 0, items=items or [])

    def map_literal(self, entries: list[tuple[Node, Node]] | None = None) -> Node:
        return ast.MapLiteral(offset=entries[0][0].offset if entries else 0, entries=entries or [])

    def entry(self, key: Node, value: Node) -> tuple[Node, Node]:
        return key, value

    def word_key(self, token: Token) -> Node:
        return ast.Literal(offset=_offset(token), value=str(token))

    def key(self, token: Token) -> Token:
        return token

    # Calls, members and slices.

    def args(self, exprs: list[Node] | None = None) -> list[Node]:
        return exprs or []

    def predicate(self, predicate: Node | list[Node]) -> Node:
        """Braces around a predicate belong to the predicate. A map needs braces of its own."""
        if isinstance(predicate, list):
            return self.group(predicate)
        if isinstance(predicate, ast.MapLiteral):
            raise LanguageError("a predicate that is a map needs braces around the map", predicate.offset)
        return predicate

    def call(self, name: Token, args: list[Node]) -> Node:
        return ast.Call(offset=_offset(name), name=str(name), args=args)

    def predicate_call(self, name: Token, *rest: Node) -> Node:
        return _predicate_call(name, *rest)

    def item_member(self, dot: Token, key: Token) -> Node:
        return self.member(ast.Pointer(offset=_offset(dot), name=""), dot, key)

    def item_method_call(self, dot: Token, key: Token, args: list[Node]) -> Node:
        return self.method_call(ast.Pointer(offset=_offset(dot), name=""), dot, key, args)

    def member(self, base: Node, dot: Token, key: Token) -> Node:
        optional = dot.type == "QDOT"
        literal = ast.Literal(offset=_offset(key), value=str(key))
        build = partial(ast.Member, offset=_offset(key), key=literal, optional=optional)
        return _link(base, lambda node: build(base=node), optional=optional)

    def method_call(self, base: Node, dot: Token, key: Token, args: list[Node]) -> Node:
        optional = dot.type == "QDOT"
        build = partial(ast.MethodCall, offset=_offset(key), name=str(key), args=args, optional=optional)
        return _link(base, lambda node: build(base=node), optional=optional)

    def index(self, base: Node, bracket: Token, key: Node) -> Node:
        return _link(
            base, lambda node: ast.Member(offset=_offset(bracket), base=node, key=key), optional=False
        )

    def optional_index(self, base: Node, dot: Token, _: Token, key: Node) -> Node:
        build = partial(ast.Member, offset=_offset(dot), key=key, optional=True)
        return _link(base, lambda node: build(base=node), optional=True)

    def slice(self, base: Node, bracket: Token, *bounds: Node | Token) -> Node:
        colon = next(position for position, part in enumerate(bounds) if isinstance(part, Token))
        start, stop = (bounds[:colon] or (None,))[0], (bounds[colon + 1 :] or (None,))[0]
        build = partial(
            ast.Slice,
            offset=_offset(bracket),
            start=cast(Node | None, start),
            stop=cast(Node | None, stop),
        )
        return _link(base, lambda node: build(base=node), optional=False)
