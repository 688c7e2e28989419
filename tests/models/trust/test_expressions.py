"""Expressions: arithmetic of sizes passes, everything else is refused."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from undercast.errors import TrustError
from undercast.models.trust.expressions import MOST_POWERS, check_expression

leaves = st.sampled_from(["s0", "Symbol('s77', positive=True, integer=True)", "Integer(32)", "2", "L['x'].size()[2]"])
expressions = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds("({} + {})".format, inner, inner),
        st.builds("Mul(Integer(32), {})".format, inner),
        st.builds("TruncToInt(Mul(Float('0.5', precision=53), ToFloat({})))".format, inner),
        st.builds("Mod({}, 32) == 0".format, inner),
        st.builds("{} // 2 >= 1".format, inner),
        st.builds("FloatPow(ToFloat({}), Float('0.5', precision=53)) < 9**2".format, inner),
    ),
    max_leaves=4,
).filter(lambda text: text.count("FloatPow") + text.count("**") <= MOST_POWERS)


@settings(max_examples=50)
@given(expressions)
def test_arithmetic_and_comparisons_of_sizes_pass(text: str) -> None:
    check_expression(text, origin="x")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "open('x')",
        "__import__('os').system('x')",
        "().__class__",
        "L['x'].data",
        "L['x'].size().__class__",
        "Symbol('x y')",
        'Symbol("x\'+y")',
        "[s0 for s0 in s1]",
        "lambda: 1",
        "(s0 := 1)",
        "f'{s0}'",
        "s0 if s1 else s2",
        "Add(*s0)",
        "Add(**s0)",
        "s0 # s1",
        "s0\n",
        "s0; s1",
        "s0 << 99999999999",
        "2**2**2**2**2**2",
        "Pow(Pow(Pow(Pow(Pow(s0, 9), 9), 9), 9), 9)",
        "9**9**9",
        "s0**s1",
        "Pow(9, Pow(9, 9))",
        "Pow(9, Integer(99))",
        "Pow(9)",
        "Pow(9, Rational(16, Float('1e-300')))",
        "9**Float('1e9')",
        "'a' * 8000000000",
        "Symbol('a') + 'a' * 8000000000",
        "TruncToInt(Float('1e999999999'))",
        "FloatPow(Float('2', precision=999999999), Float('0.5'))",
        "9" * 30,
        "(" * 3000 + ")" * 3000,
        "-" * 3000 + "1",
        "math.system",
        "exec",
        "print(s0)",
        "Symbol('s0')(1)(2)",
    ],
)
def test_everything_else_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(TrustError, match=r"^weights x are refused: they hold the expression") as caught:
        check_expression(text, origin="x")
    assert "\n" not in str(caught.value)
