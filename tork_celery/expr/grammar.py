"""The grammar of the language.

A run of operands and operators is read flat; `precedence` makes a tree of it, because a prefix operator may
stand after an operator that binds tighter (`2 * not a`), which layers of grammar rules cannot say.
"""

GRAMMAR = r"""
start: seq TRAILING?

seq: expr           -> first
   | seq ";" expr   -> further

?expr: chain
     | chain "?" expr ":" expr -> ternary
     | chain "?" ":" expr      -> elvis
     | LET NAME "=" expr ";" seq -> let
     | if_else

if_else: IF expr "{" seq "}" ELSE if_else
       | IF expr "{" seq "}" ELSE "{" seq "}"

?chain: primary
      | prefixed -> tree
      | run      -> tree
run: operand infix operand | operand PIPE piped
   | run infix operand     | run PIPE piped

?operand: primary
        | prefixed
prefixed: prefixes primary
prefixes: prefix          -> first
        | prefixes prefix -> further
prefix: NOT | BANG | SIGN
infix: (OP | SIGN | AND | OR | IN | MATCHES | CONTAINS | STARTS | ENDS)      -> infix
     | NOT (IN | MATCHES | CONTAINS | STARTS | ENDS)                        -> not_infix

piped: NAME args                                -> piped_call
     | LOOP "(" ")"                             -> piped_loop
     | LOOP "(" body ("," expr)? ","? ")"       -> piped_loop

?primary: NUMBER -> number
        | TRUE   -> true
        | FALSE  -> false
        | NIL    -> nil
        | postfix

?postfix: NAME                                  -> name
        | STRING                                -> string
        | RAW                                   -> raw
        | POINTER                               -> pointer
        | DOT key                               -> pointer_member
        | DOT key args                          -> pointer_method
        | "(" seq ")"                           -> parenthesized
        | "[" (exprs ","?)? "]"                 -> list_of
        | "{" (pairs ","?)? "}"                 -> map_of
        | "::"? NAME args                       -> call
        | "::"? LOOP "(" expr ("," body ("," expr)?)? ","? ")" -> loop
        | postfix (DOT | QDOT) key              -> member
        | postfix (DOT | QDOT) key args         -> method
        | postfix LSQB expr "]"                 -> index
        | postfix QDOT LSQB expr "]"            -> optional_index
        | postfix LSQB expr? COLON expr? "]"    -> slice

body: expr | "{" seq "}"
args: "(" (exprs ","?)? ")"
exprs: expr           -> first
     | exprs "," expr -> further
pairs: pair           -> first
     | pairs "," pair -> further
pair: map_key ":" expr
map_key: (NAME | NUMBER | TRUE | FALSE | NIL)   -> word_key
       | STRING                                 -> string
       | RAW                                    -> raw
       | "(" seq ")"                            -> group
key: NAME | LOOP | TRUE | FALSE | NIL | NOT | AND | OR | IN | MATCHES | CONTAINS | STARTS | ENDS
   | LET | IF | ELSE

TRAILING.3: /;(?=\s*\Z)/
LOOP.2: /(?:all|any|one|none|map|filter|find(?:Last)?(?:Index)?|count|sum|groupBy|sortBy|reduce)(?=\s*\()/
NUMBER.2: /(?:[0-9][0-9_]*(?:\.(?!\.)[0-9_]*)?|\.[0-9][0-9_]*)(?:[eE][+-]?[0-9_]*)?[\w$]*/
NAME: /(?:[^\W\d]|\$)[\w$]*/
STRING: /"[^"\\\n]*(?:\\.[^"\\\n]*)*"|'[^'\\\n]*(?:\\.[^'\\\n]*)*'/
RAW: /`[^`]*(?:``[^`]*)*`/
POINTER: /#[\w$]*/
OP: /\*\*|==|!=|<=|>=|&&|\|\||\?\?|\.\.|[\^*%<>]|\/(?![\/*])/
PIPE: "|"
SIGN: /[+-]/
BANG: "!"
QDOT: "?."
DOT: "."
LSQB: "["
COLON: ":"
NOT: "not"
AND: "and"
OR: "or"
IN: "in"
MATCHES: "matches"
CONTAINS: "contains"
STARTS: "startsWith"
ENDS: "endsWith"
LET: "let"
IF: "if"
ELSE: "else"
TRUE: "true"
FALSE: "false"
NIL: "nil"

%ignore /[^\S\x1c-\x1f]+/
%ignore /\/\/[^\n]*/
%ignore /\/\*[\s\S]*?\*\//
"""
