"""HTML and SVG as nested calls, whose text is escaped."""

import html


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


VOID = frozenset({"br", "img", "input", "meta", "line", "circle", "rect"})
Child = str | None


def element(tag: str, /, *children: Child, **attributes: str | int | bool | None) -> Markup:
    """One element. Strings among its children are escaped, Markup is not, None is left out. Attributes: `class_` and
    `for_` lose their underscore, others turn it into a hyphen; True stands alone, False and None are left out."""
    given = "".join(
        _attribute(key, value) for key, value in attributes.items() if value is not None and value is not False
    )
    if tag in VOID:
        return Markup(f"<{tag}{given}/>")  # the slash is idle in HTML and needed in SVG
    return Markup(f"<{tag}{given}>{join(*children)}</{tag}>")


def join(*children: Child) -> Markup:
    """Children one after the other, escaped as in `element`."""
    return Markup("".join(c if isinstance(c, Markup) else html.escape(c) for c in children if c is not None))


def _attribute(key: str, value: str | int | bool) -> str:
    name = key.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{html.escape(str(value))}"'
