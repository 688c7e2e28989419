"""Expressions: shapes and guards of an exported program, which PyTorch evaluates as Python."""

from __future__ import annotations

import ast
import re

from undercast.models.archive import refusal

LONGEST = 4000
"""Characters of an expression, at most."""

LARGEST = 2**63
"""Largest whole number in an expression."""

MOST_POWERS = 4
"""Powers in an expression, at most: nested ones would fill the memory."""

FUNCTIONS = frozenset(
    (
        *("Symbol", "Integer", "Float", "Rational", "Add", "Mul", "Mod", "Max", "Min", "Abs", "And", "Or", "Not"),
        *("Pow", "PowByNatural", "FloatPow", "Eq", "Ne", "Lt", "Le", "Gt", "Ge", "Equality", "Unequality"),
        *("StrictLessThan", "LessThan", "StrictGreaterThan", "GreaterThan", "FloorDiv", "CeilDiv", "CleanDiv"),
        *("PythonMod", "ModularIndexing", "Where", "CeilToInt", "FloorToInt", "TruncToInt", "TruncToFloat"),
        *("RoundToInt", "IntTrueDiv", "FloatTrueDiv", "ToFloat", "Identity", "floor", "ceiling"),
        *("OpaqueUnaryFn_sqrt", "IsNonOverlappingAndDenseIndicator"),
    )
)
"""Functions of sympy and of PyTorch that shapes are made of."""

METHODS = frozenset({"size", "stride", "storage_offset", "trunc", "floor", "ceil", "sqrt", "inf", "isnan"})
"""Attributes of tensors, and of the module ``math``, that guards are made of."""

WORDS = frozenset({"L", "math", "inf", "oo", "true", "false"})
"""Names beside symbols (``s0``, ``u1``)."""

POWERS = frozenset({"Pow", "PowByNatural", "FloatPow"})
"""Functions that raise to a power."""

_SYMBOL = re.compile(r"[a-z]{1,2}\d{1,9}")
_TEXT = re.compile(r"[A-Za-z0-9_.+-]{1,100}")
_PLAIN = (
    ast.Expression,
    ast.Load,
    ast.BinOp,
    ast.UnaryOp,
    ast.BoolOp,
    ast.Compare,
    ast.Subscript,
    ast.operator,
    ast.unaryop,
    ast.boolop,
    ast.cmpop,
)


def check_expression(text: str, *, origin: str) -> None:
    """Refuse an expression that is more than arithmetic and comparisons of sizes.

    Raises:
        TrustError: If it names anything else, or would fill the memory.
    """
    nodes = _nodes(text)
    if not nodes or not all(_is_plain(node) for node in nodes) or sum(map(_is_power, nodes)) > MOST_POWERS:
        raise refusal(origin, f"the expression {text[:80]!r}")


def _nodes(text: str) -> list[ast.AST]:
    """Give the parts of an expression; none where it is too long, goes over lines or is no expression."""
    if len(text) > LONGEST or not text.isprintable() or set(text) & set("#\\;{}`"):
        return []
    try:
        return list(ast.walk(ast.parse(text, mode="eval")))
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return []


def _is_plain(node: ast.AST) -> bool:
    """Tell whether a node is arithmetic, a comparison, a symbol, a number, or a call of a known function."""
    if isinstance(node, ast.Constant):
        return _is_plain_value(node.value)
    if isinstance(node, ast.Name):
        return node.id in FUNCTIONS or node.id in WORDS or _SYMBOL.fullmatch(node.id) is not None
    if isinstance(node, ast.Attribute):
        return node.attr in METHODS
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name | ast.Attribute)
    if isinstance(node, ast.keyword):
        return node.arg is not None
    return isinstance(node, _PLAIN) and not isinstance(node, ast.LShift | ast.RShift | ast.MatMult)


def _is_plain_value(value: object) -> bool:
    if isinstance(value, str):
        return _TEXT.fullmatch(value) is not None
    return isinstance(value, float | None) or (isinstance(value, int) and abs(value) <= LARGEST)


def _is_power(node: ast.AST) -> bool:
    return isinstance(node, ast.Pow) or (isinstance(node, ast.Name) and node.id in POWERS)
