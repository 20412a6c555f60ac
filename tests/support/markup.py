"""HTML as a tree, parsed by the standard library: to ask what stands where on a page."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any, Union

#: Elements that have no end tag.
_VOID = frozenset(("area", "br", "hr", "img", "input", "link", "meta", "source", "wbr"))
#: Elements whose content is not shown.
_UNSEEN = frozenset(("script", "style", "template"))
#: What SVG may close in its start tag.
_SHAPES = frozenset(("circle", "path", "rect"))


@dataclass
class Element:
    """An element with its attributes and what is in it, in order."""

    tag: str
    attributes: dict[str, str]
    children: list[Union["Element", str]] = field(default_factory=list)

    def walk(self) -> Iterator["Element"]:
        """Yield this element and all below it, in document order."""
        yield self
        for child in self.children:
            if isinstance(child, Element):
                yield from child.walk()

    def all(self, tag: str, class_name: str | None = None) -> list["Element"]:
        """Return the elements below of that name, and of that class if given."""
        return [
            one
            for one in self.walk()
            if one.tag == tag
            and (class_name is None or class_name in one.attributes.get("class", "").split())
        ]

    def by_id(self, name: str) -> "Element":
        """Return the one element with that id."""
        (found,) = [one for one in self.walk() if one.attributes.get("id") == name]
        return found

    @property
    def text(self) -> str:
        """All text in it that is shown, with single spaces, as it reads."""
        return " ".join("".join(self._texts()).split())

    def figures(self) -> dict[str, str]:
        """Return the texts of its values by those of their `dt`; a line may stand below a value."""
        found: dict[str, str] = {}
        for figure in self.all("div", "figure"):
            (term,), (value, *_) = figure.all("dt"), figure.all("dd")
            assert term.text not in found, term.text
            found[term.text] = value.text
        return found

    def rows(self) -> list[list[str]]:
        """Return the texts of the cells of its table's body."""
        return [
            [cell.text for cell in row.children if isinstance(cell, Element)]
            for body in self.all("tbody")
            for row in body.all("tr")
        ]

    def _texts(self) -> Iterator[str]:
        for child in self.children:
            if isinstance(child, str):
                yield child
            elif child.tag not in _UNSEEN:
                yield from child._texts()
                # Elements beside each other are words beside each other, apart from a break.
                yield "" if child.tag == "wbr" else " "


def parse(html: str) -> Element:
    """Return the page's root. Fails when an end tag does not fit, or something is left open."""
    parser = _Parser()
    parser.feed(html)
    parser.close()
    assert [one.tag for one in parser.open] == [""], "elements that are not closed"
    (root,) = [one for one in parser.open[0].children if isinstance(one, Element)]
    return root


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open = [Element("", {})]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"an attribute twice in {tag}: {names}"
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.open[-1].children.append(element)
        if tag not in _VOID:
            self.open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in _SHAPES, f"{tag} has to have an end tag of its own"
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1].tag == tag, f"</{tag}> closes <{self.open[-1].tag}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.open[-1].children.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data!r}")

    def unknown_decl(self, data: str) -> None:
        raise AssertionError(f"a declaration: {data!r}")

    def handle_pi(self, data: str) -> None:
        raise AssertionError(f"a processing instruction: {data!r}")


def skeleton(root: Element) -> list[tuple[Any, ...]]:
    """Return every element with the names of its attributes, in order: the page without texts."""
    return [(one.tag, *sorted(one.attributes)) for one in root.walk()]
