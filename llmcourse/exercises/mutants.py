"""Small faults planted in a reference, to test that its check notices them.

    python -m llmcourse.exercises.mutants attention

lists the mutants of a chapter's references that its checks let pass. Kill each with a better case,
or list it in the exercise's `equivalent_mutants` with the reason.
"""

import ast
import copy
import inspect
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from llmcourse.exercises import engine, registry
from llmcourse.exercises.core import Exercise

__all__ = ["Mutant", "mutants", "survivors"]

SWAPS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.And: ast.Or,
    ast.Or: ast.And,
}
AXES = {"dim", "axis", "dims", "keepdim", "keepdims"}
# Functions whose removal is a fault of scale.
SCALES = {"sqrt", "log", "exp", "abs"}
TRANSPOSES = {"T", "mT"}
EXTREMES = {"max": "min", "min": "max", "argmax": "argmin", "argmin": "argmax"}
DROPPED = (ast.Assign, ast.AugAssign, ast.Expr, ast.Raise, ast.Break, ast.Continue)


@dataclass(frozen=True)
class Mutant:
    """A faulty copy of a reference; `change` reads `old statement → new statement`."""

    change: str
    answer: Callable


def mutants(exercise: Exercise) -> list[Mutant]:
    """Every mutant of the exercise's solution: axis, sign, scale, bound, constant, comparison, a
    dropped statement."""
    source = textwrap.dedent(inspect.getsource(exercise.solution))
    tree = ast.parse(source)
    found: dict[str, Mutant] = {}
    for mutated, change in _mutated_trees(tree):
        if change in found:
            continue
        namespace = dict(vars(inspect.getmodule(exercise.solution)))
        try:
            exec(compile(ast.fix_missing_locations(mutated), f"<{change}>", "exec"), namespace)
        except Exception:
            continue  # refused at definition: nothing to judge
        found[change] = Mutant(change, namespace[exercise.solution.__name__])
    return list(found.values())


def survivors(exercise: Exercise, *, seconds: float = 1.0) -> list[str]:
    """Changes that the check does not notice, leaving out those listed as equivalent."""
    return [
        mutant.change
        for mutant in mutants(exercise)
        if mutant.change not in exercise.equivalent_mutants
        and engine.run(exercise, mutant.answer, seconds=seconds).status == "pass"
    ]


def _mutated_trees(tree: ast.Module) -> Iterator[tuple[ast.Module, str]]:
    """Copies of `tree` with one fault each, and the statement before and after."""
    count = sum(1 for _ in ast.walk(tree))
    for index in range(count):
        for variant in range(4):
            mutated = copy.deepcopy(tree)
            _link(mutated)
            node = list(ast.walk(mutated))[index]
            if _skipped(node):
                break
            statement = _statement(node)
            before = _head(statement)
            if not _mutate(node, variant):
                continue
            dropped = getattr(statement, "dropped", False)
            after = "(dropped)" if dropped else _head(statement)
            if after != before:
                yield mutated, f"{before} → {after}"


def _link(tree: ast.AST) -> None:
    for parent in ast.walk(tree):
        for name, value in ast.iter_fields(parent):
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    child.parent, child.field = parent, name


def _ancestors(node: ast.AST) -> Iterator[ast.AST]:
    while (parent := getattr(node, "parent", None)) is not None:
        yield parent
        node = parent


def _statement(node: ast.AST) -> ast.AST:
    chain = [node, *_ancestors(node)]
    return next((n for n in chain if isinstance(n, ast.stmt)), chain[-1])


def _head(node: ast.AST) -> str:
    """The first line of a statement as Python writes it: a compound statement without its body."""
    body = [n for n in ("body", "orelse", "finalbody", "handlers") if hasattr(node, n)]
    if body and isinstance(node, ast.stmt):
        short = copy.copy(node)
        short.body = [ast.Expr(ast.Constant(...))]
        for name in body[1:]:
            setattr(short, name, [])
        lines = ast.unparse(short).splitlines()
        return " ".join(line.strip() for line in lines[:-1])
    return ast.unparse(node)


def _skipped(node: ast.AST) -> bool:
    """Annotations, decorators, and text of messages are not mutated."""
    for inner in [node, *_ancestors(node)]:
        if getattr(inner, "field", "") in {"annotation", "returns", "decorator_list"}:
            return True
        if isinstance(inner, ast.JoinedStr) or (
            isinstance(getattr(inner, "parent", None), ast.Raise) and isinstance(inner, ast.Call)
        ):
            return True
    return False


def _mutate(node: ast.AST, variant: int) -> bool:
    """Plant fault number `variant` in `node`, where it has one."""
    if isinstance(node, ast.BinOp | ast.AugAssign) and variant == 0:
        return _swap(node, "op")
    if isinstance(node, ast.BoolOp) and variant == 0:
        return _swap(node, "op")
    if isinstance(node, ast.Compare) and variant == 0:
        new = SWAPS.get(type(node.ops[0]))
        if new is None:
            return False
        node.ops[0] = new()
        return True
    if isinstance(node, ast.UnaryOp) and variant == 0:
        return _replace(node, node.operand)
    if isinstance(node, ast.Name | ast.Attribute) and variant == 1:
        return _rename(node)
    if isinstance(node, ast.Call) and variant == 0:
        name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        if name in SCALES and len(node.args) == 1:
            return _replace(node, node.args[0])
        if name in SCALES and not node.args and isinstance(node.func, ast.Attribute):
            return _replace(node, node.func.value)
        return False
    if isinstance(node, ast.Constant):
        return _constant(node, variant)
    if isinstance(
        node, ast.Assign | ast.AugAssign | ast.Expr | ast.Raise | ast.Break | ast.Continue
    ):
        return variant == 1 and _drop(node)
    return False


def _swap(node: ast.AST, field: str) -> bool:
    new = SWAPS.get(type(getattr(node, field)))
    if new is None:
        return False
    setattr(node, field, new())
    return True


def _rename(node: ast.Name | ast.Attribute) -> bool:
    field = "id" if isinstance(node, ast.Name) else "attr"
    new = EXTREMES.get(getattr(node, field))
    if new is None:
        return False
    setattr(node, field, new)
    return True


def _constant(node: ast.Constant, variant: int) -> bool:
    value = node.value
    parent = getattr(node, "parent", None)
    if isinstance(value, bool):
        node.value = not value
        return variant == 0
    if not isinstance(value, int | float):
        return False
    if isinstance(parent, ast.keyword) and parent.arg in AXES:
        # Only 0 and 1: a negative name of the same axis would be no fault. (−1 is a minus and 1.)
        node.value = 0 if value else 1
        return variant == 0
    changes = [value + 1, value - 1] if isinstance(value, int) else [value * 2 or 1.0]
    if variant >= len(changes):
        return False
    node.value = changes[variant]
    return True


def _replace(node: ast.AST, new: ast.AST) -> bool:
    parent, field = node.parent, node.field
    value = getattr(parent, field)
    if isinstance(value, list):
        value[value.index(node)] = new
    else:
        setattr(parent, field, new)
    return True


def _drop(node: ast.stmt) -> bool:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return False  # a docstring, or an ellipsis
    node.dropped = True
    return _replace(node, ast.Pass())


def main(names: list[str]) -> int:
    """Print the survivors of the named chapters or exercises; the exit status says if any."""
    found = 0
    for name in names or registry.chapters():
        listed = (registry.find(name),) if "." in name else registry.exercises(name)
        for exercise in listed:
            for change in survivors(exercise):
                found += 1
                print(f"{exercise.id}: {change}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
