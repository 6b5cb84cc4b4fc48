"""Checks that read a plugin's source and class, and build nothing."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from xferlab.config.reference import field_texts
from xferlab.errors import nearest
from xferlab.testing.finding import Finding, Subject
from xferlab.testing.members import ARGUMENTS, FLAGS, METHODS, OF_ANY, declarations_of

HEAVY = (
    "datasets",
    "jax",
    "keras",
    "keras_hub",
    "matplotlib",
    "pandas",
    "scipy",
    "sklearn",
    "tensorflow",
    "torch",
    "transformers",
)
"""Libraries that are imported in the method that needs them, so that commands stay fast."""


def source_findings(subject: Subject) -> Iterator[Finding]:
    """Yield what is wrong with documentation, types, imports and declarations."""
    yield from _documentation(subject)
    yield from _types(subject)
    yield from _attributes(subject)
    yield from _methods(subject)
    yield from _imports(subject)
    yield from _calls_at_import(subject)


def _documentation(subject: Subject) -> Iterator[Finding]:
    cls = subject.entry.cls
    has_own = cls.__doc__ and not cls.__doc__.startswith(f"{cls.__name__}(")  # dataclass makes one
    if not has_own:
        yield subject.finding("has no docstring", "say in its first line what it does")
        return
    if len(subject.entry.summary) > 90 or not subject.entry.summary.endswith("."):
        fix = "list and describe show the first line: one sentence of up to 90 characters"
        yield subject.finding("has no first line that is one short sentence", fix)
    texts = field_texts(cls)
    names = [each.name for each in fields(cls)]
    for name in names:
        if name not in texts:
            fix = f"write  {name}: what it does  under Attributes: in the docstring"
            yield subject.finding(f"does not document its field {name}", fix, subject.line_of(name))
    documented = field_texts(_without_bases(cls))
    for name in documented.keys() - set(names) - declarations_of(subject.entry.group):
        yield subject.finding(f"documents a field {name} that it does not have", "remove the line")


def _without_bases(cls: type) -> type:
    return type(cls.__name__, (), {"__doc__": cls.__doc__})


def _types(subject: Subject) -> Iterator[Finding]:
    for each in fields(subject.entry.cls):
        if each.type in (Any, "Any") and isinstance(each.default, bool | int | float | str):
            kind = type(each.default).__name__
            line = subject.line_of(each.name)
            what = f"gives its field {each.name} no type"
            yield subject.finding(what, f"write  {each.name}: {kind}", line)


def _attributes(subject: Subject) -> Iterator[Finding]:
    """Yield class attributes that look like a field, or a declaration, and are none."""
    group = subject.entry.group
    known = declarations_of(group)
    for node in subject.body:
        name = _attribute_name(node)
        if name is None or name.startswith("_") or name in known or name.isupper():
            continue
        annotation = ast.unparse(node.annotation) if isinstance(node, ast.AnnAssign) else ""
        near = nearest(name, known, 0.75)
        if near and ("ClassVar" in annotation or not annotation):
            what = f"declares '{name}', which nothing reads"
            yield subject.finding(what, f"did you mean '{near}'?", node.lineno)
        elif not annotation:
            what = f"has a class attribute {name} without a type, which is no field"
            fix = f"write  {name}: TYPE = ...  for a field, or _{name} for a constant"
            yield subject.finding(what, fix, node.lineno)
        elif "ClassVar" in annotation:
            what = f"declares {name} as a ClassVar, which is part of run ids"
            yield subject.finding(what, f"put it at module level, or call it _{name}", node.lineno)
    for name in FLAGS:
        value = getattr(subject.entry.cls, name, False)
        if name in known and not isinstance(value, bool):
            what = f"declares {name}={value!r}"
            yield subject.finding(what, "True or False", subject.line_of(name))


def _attribute_name(node: ast.stmt) -> str | None:
    """Return the name that a statement of a class sets."""
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
        return node.targets[0].id
    is_class_variable = isinstance(node, ast.AnnAssign) and "ClassVar" in ast.unparse(
        node.annotation
    )
    if is_class_variable and isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return node.target.id
    return None


def _methods(subject: Subject) -> Iterator[Finding]:
    """Yield methods that cannot be called as the contract says, and misspelt ones."""
    group = subject.entry.group
    known = {**METHODS[group], **OF_ANY}
    for name, count in known.items():
        method = getattr(subject.entry.cls, name, None)
        if callable(method) and not _accepts(method, count):
            given = ARGUMENTS.get((group, name), "")
            fix = f"def {name}(self{', ' + given if given else ''})"
            line = subject.line_of(name)
            yield subject.finding(f"has a method {name}() of other arguments", fix, line)
    for node in subject.body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            near = nearest(node.name, known, 0.75)
            if node.name not in known and near and not hasattr(subject.entry.cls, near):
                what = f"has a method {node.name}() that nothing calls"
                yield subject.finding(what, f"did you mean {near}?", node.lineno)


def _accepts(method: Any, count: int) -> bool:
    """Return whether a method can be called with a number of positional arguments."""
    try:
        inspect.signature(method).bind(None, *range(count))
    except TypeError:
        return False
    return True


def _imports(subject: Subject) -> Iterator[Finding]:
    for node in _run_at_import(subject.tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            for module in _modules_of(node):
                if module.partition(".")[0] in HEAVY:
                    what = f"imports {module} when it is loaded, which slows every command"
                    yield subject.finding(
                        what, "import it in the method that needs it", node.lineno
                    )
    for each in ast.walk(subject.tree):
        if isinstance(each, ast.ImportFrom) and not each.level:
            yield from _private_imports(subject, each)


def _private_imports(subject: Subject, node: ast.ImportFrom) -> Iterator[Finding]:
    """Yield a finding for what is imported from inside xferlab."""
    module = node.module or ""
    if module.startswith("xferlab.") and module != "xferlab.testing":
        shown = ", ".join(alias.name for alias in node.names)
        fix = f"from xferlab import {shown}, if docs/plugins.md has it"
        yield subject.finding(f"imports {module}, which is no public module", fix, node.lineno)


def _run_at_import(tree: ast.Module) -> Iterator[ast.stmt]:
    """Yield the statements that run when a module is imported; not those for type checkers."""
    open_ = list(tree.body)
    while open_:
        node = open_.pop(0)
        yield node
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            open_ += node.orelse
        elif isinstance(node, ast.If | ast.Try | ast.With | ast.ClassDef):
            open_ += [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt)]


def _modules_of(node: ast.Import | ast.ImportFrom) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [] if node.level else [node.module or ""]


def _calls_at_import(subject: Subject) -> Iterator[Finding]:
    """Yield what a module does when it is imported, beside defining things."""
    for node in _run_at_import(subject.tree):
        call = node.value if isinstance(node, ast.Expr) else None
        if isinstance(call, ast.Call):
            what = f"calls {ast.unparse(call.func)}() when it is loaded"
            yield subject.finding(what, "do it in the method that needs it", node.lineno)
