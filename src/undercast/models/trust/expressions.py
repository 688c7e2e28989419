"""Expressions: shapes and guards of an exported program, which PyTorch evaluates as Python."""

from __future__ import annotations

import ast
import math
import re

from undercast.models.trust.archive import refusal

LONGEST = 4000
"""Characters of an expression, at most."""

LARGEST = 2**63
"""Largest whole number in an expression."""

MOST_POWERS, LARGEST_EXPONENT = 4, 16
"""Powers in an expression, and the exponent of one, at most: larger ones would fill the memory."""

MOST_PRECISION = 1024
"""Largest number that a named argument has: bits of a number with a point."""

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

OF_TEXT = frozenset({"Symbol", "Integer", "Float"})
"""Functions that take a text; elsewhere one is an index only, because a text times a number would fill the memory."""

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
    texts = {id(place) for node in nodes for place in _places_of_text(node)}
    fine = all(_is_plain(node) and _is_bounded(node) and (not _is_text(node) or id(node) in texts) for node in nodes)
    if not nodes or not fine or sum(map(_is_power, nodes)) > MOST_POWERS:
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


def _is_bounded(node: ast.AST) -> bool:
    """Tell whether the exponent of a power, and the number of a named argument, are small."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
        return _is_small(node.right)
    if isinstance(node, ast.Call) and _is_power(node.func):
        return len(node.args) == 2 and _is_small(node.args[1])
    if isinstance(node, ast.keyword):
        return isinstance(node.value, ast.Constant) and _is_within(node.value.value, MOST_PRECISION)
    return True


def _is_plain_value(value: object) -> bool:
    if isinstance(value, str):
        return _TEXT.fullmatch(value) is not None and not _is_endless(value)
    return isinstance(value, float | None) or _is_within(value, LARGEST)


def _is_endless(text: str) -> bool:
    """Tell whether a text is a number that is too large for a float: whole, it would fill the memory."""
    try:
        return math.isinf(float(text)) and "e" in text.lower()
    except ValueError:
        return False


def _is_within(value: object, largest: int) -> bool:
    return isinstance(value, int) and abs(value) <= largest


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _places_of_text(node: ast.AST) -> list[ast.expr]:
    """Give the parts of a node that may be texts."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in OF_TEXT:
        return node.args
    return [node.slice] if isinstance(node, ast.Subscript) else []


def _is_power(node: ast.AST) -> bool:
    return isinstance(node, ast.Pow) or (isinstance(node, ast.Name) and node.id in POWERS)


def _is_small(node: ast.AST) -> bool:
    """Tell whether an exponent is a small number."""
    if isinstance(node, ast.UnaryOp):
        return _is_small(node.operand)
    if isinstance(node, ast.Call) and node.args and isinstance(node.func, ast.Name):
        return node.func.id in {"Integer", "Float"} and _is_small(node.args[0])
    value = node.value if isinstance(node, ast.Constant) else None
    if not isinstance(value, int | float | str):
        return False
    try:
        return abs(float(value)) <= LARGEST_EXPONENT
    except (ValueError, OverflowError):
        return False
