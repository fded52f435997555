"""The grammar of the language, in the notation of Lark.

An operation is parsed as a flat list of operands and operators, from which `precedence` builds a tree.
Grammar rules cannot express the precedence, because a prefix operator may follow an operator that binds
tighter: `2 * not a`.
"""

GRAMMAR = r"""
start: sequence TRAILING_SEMICOLON?

sequence: expr             -> first
   | sequence ";" expr     -> append

?expr: operand_or_tree
     | operand_or_tree "?" expr ":" expr -> ternary
     | operand_or_tree "?" ":" expr      -> elvis
     | LET NAME "=" expr ";" sequence    -> let
     | if_else

if_else: IF expr "{" sequence "}" ELSE if_else
       | IF expr "{" sequence "}" ELSE "{" sequence "}"

?operand_or_tree: primary
      | prefixed  -> tree
      | operation -> tree
operation: operand infix operand   | operand PIPE piped
         | operation infix operand | operation PIPE piped

?operand: primary
        | prefixed
prefixed: prefixes primary
prefixes: prefix          -> first
        | prefixes prefix -> append
prefix: NOT | BANG | SIGN
infix: (OP | SIGN | AND | OR | IN | MATCHES | CONTAINS | STARTS | ENDS)      -> infix
     | NOT (IN | MATCHES | CONTAINS | STARTS | ENDS)                        -> negated_infix

piped: NAME args                                               -> piped_call
     | PREDICATE_FUNCTION "(" ")"                              -> piped_predicate_call
     | PREDICATE_FUNCTION "(" predicate ("," expr)? ","? ")"   -> piped_predicate_call

?primary: NUMBER -> number
        | TRUE   -> true
        | FALSE  -> false
        | NIL    -> nil
        | postfix

?postfix: NAME                                  -> name
        | STRING                                -> string
        | RAW_STRING                            -> raw_string
        | POINTER                               -> pointer
        | DOT key                               -> item_member
        | DOT key args                          -> item_method_call
        | "(" sequence ")"                      -> parenthesized
        | "[" (exprs ","?)? "]"                 -> list_literal
        | "{" (entries ","?)? "}"               -> map_literal
        | "::"? NAME args                       -> call
        | "::"? PREDICATE_FUNCTION "(" expr ("," predicate ("," expr)?)? ","? ")" -> predicate_call
        | postfix (DOT | QDOT) key              -> member
        | postfix (DOT | QDOT) key args         -> method_call
        | postfix LSQB expr "]"                 -> index
        | postfix QDOT LSQB expr "]"            -> optional_index
        | postfix LSQB expr? COLON expr? "]"    -> slice

predicate: expr | "{" sequence "}"
args: "(" (exprs ","?)? ")"
exprs: expr           -> first
     | exprs "," expr -> append
entries: entry             -> first
       | entries "," entry -> append
entry: map_key ":" expr
map_key: (NAME | NUMBER | TRUE | FALSE | NIL)   -> word_key
       | STRING                                 -> string
       | RAW_STRING                             -> raw_string
       | "(" sequence ")"                       -> group
key: NAME | PREDICATE_FUNCTION | TRUE | FALSE | NIL | NOT | AND | OR | IN | MATCHES | CONTAINS | STARTS
   | ENDS | LET | IF | ELSE

TRAILING_SEMICOLON.3: /;(?=\s*\Z)/
PREDICATE_FUNCTION.2: ("all" | "any" | "one" | "none" | "map" | "filter" | "find" | "findIndex" | "findLast"
    | "findLastIndex" | "count" | "sum" | "groupBy" | "sortBy" | "reduce") /(?=\s*\()/
NUMBER.2: /(?:[0-9][0-9_]*(?:\.(?!\.)[0-9_]*)?|\.[0-9][0-9_]*)(?:[eE][+-]?[0-9_]*)?[\w$]*/
NAME: /(?:[^\W\d]|\$)[\w$]*/
STRING: /"[^"\\\n]*(?:\\.[^"\\\n]*)*"|'[^'\\\n]*(?:\\.[^'\\\n]*)*'/
RAW_STRING: /`[^`]*(?:``[^`]*)*`/
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
