"""Answers that betray whether somebody runs them as code: each leaves a trace if it is executed.

A trace is a directory in the grader's working directory, with the number of the answer in its name.
Owns the forms only; looks at no source and knows no grader. The forms keep the shape of a right
answer, for graders that look at an answer before they run it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

PREFIX = "canary"
_MARK = "\x00"  # stands for the code in a form
_ESCAPE = "\x01"  # for code that needs no builtins
_TOKENS = 6  # words of a right answer that are replaced, from both ends


def canaries(gold: str | None, first: int) -> dict[str, str]:
    """Answers by the trace that each leaves, numbered from `first`."""
    forms = list(dict.fromkeys([*_bare_forms(), *(_shaped_forms(gold) if gold else ())]))
    made = {}
    for number, form in enumerate(forms, first):
        trace = f"{PREFIX}{number}"
        made[trace] = form.replace(_MARK, _import(trace)).replace(_ESCAPE, _escape(trace))
    return made


def _import(trace: str) -> str:
    """An expression without spaces and commas, in small letters: most parsers leave it whole."""
    return f"__import__('os').mkdir('{trace}')"


def _escape(trace: str) -> str:
    """The same where the builtins were taken away."""
    classes = "().__class__.__base__.__subclasses__()"
    return (
        f"[c for c in {classes} if c.__name__=='_wrap_close'][0].__init__.__globals__"
        f"['mkdir']('{trace}')"
    )


def _bare_forms() -> Iterator[str]:
    for code in (_MARK, _ESCAPE):
        yield from (
            code,
            f"[{code}]",
            f"({code})",
            f"{{'a':{code}}}",
            f"x={code}",
            f"1+0*bool({code})",
        )
    yield f"```python\n{_MARK}\n```"
    yield f"import os\n{_MARK}\n"
    yield f"def f(*a, **k):\n    return {_MARK}\nf()"
    yield f"print({_MARK})"
    yield f"lambda *a: {_MARK}"
    yield f"{{{{{_MARK}}}}}"
    yield f'!!python/object/apply:builtins.eval ["{_MARK}"]'
    yield f"$({_MARK})"


def _shaped_forms(gold: str) -> Iterator[str]:
    for code in (_MARK, _ESCAPE):
        yield from (f"{gold}\n{code}", f"{code}\n{gold}", f"{gold},{code}", f"{gold} {code}")
        yield from (f"{gold}+0*bool({code})", f"({gold},{code})[0]", f"[{gold},{code}]")
    tokens = list(re.finditer(r"\w+(?:\.\w+)?", gold))
    ends = tokens if len(tokens) <= _TOKENS else [*tokens[: _TOKENS // 2], *tokens[-_TOKENS // 2 :]]
    for token in ends:
        head, word, tail = gold[: token.start()], token[0], gold[token.end() :]
        for instead in (_MARK, f"({word}+0*bool({_MARK}))", f"({word},{_MARK})[0]"):
            yield f"{head}{instead}{tail}"
