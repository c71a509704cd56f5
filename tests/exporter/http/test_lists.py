from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
import pytest

from exporter.http.lists import Listed, Listing, ListTotal, answer_type, bound, page_asked, page_of_lists, with_page
from exporter.http.query import EnvironmentQuery, parse
from exporter.http.types import NoQuery
from otel_measure.definitions.pages import FIRST_PAGE, Page


@dataclass(frozen=True)
class Tool:
    """A row."""

    tool: str
    uses: int


@dataclass(frozen=True)
class Inner:
    """What holds a list below the answer."""

    agents: list[Tool]


class ToolsAnswer(msgspec.Struct, frozen=True):
    """An answer with two lists."""

    tools: tuple[Tool, ...]
    inner: Inner
    total: int


TOOLS = (Tool("b", 1), Tool("a", 3), Tool("c", 2))
ANSWER = ToolsAnswer(TOOLS, Inner([Tool("x", 5), Tool("y", 4)]), 3)
LISTS = bound((Listing("tools", ("tool",)), Listing("inner.agents", ("tool",))), ToolsAnswer)


@pytest.mark.parametrize(
    ("page", "tools", "agents", "totals"),
    [
        (Page(), "bac", "xy", ((3, 3), (2, 2))),
        (Page(limit=1), "b", "x", ((3, 3), (2, 2))),
        (Page(limit=2, offset=1), "ac", "y", ((3, 3), (2, 2))),
        (Page(sort="-uses"), "acb", "xy", ((3, 3), (2, 2))),
        (Page(q="C"), "c", "", ((3, 1), (2, 0))),
        (Page(of="inner.agents", sort="uses"), "", "yx", ((3, 3), (2, 2))),
    ],
)
def test_a_part_of_the_lists(page: Page, tools: str, agents: str, totals: tuple[tuple[int, int], ...]) -> None:
    """Each list is answered as far as it is asked for, in the kind that it has, with how long it is; all else stays."""
    listed = page_of_lists(ANSWER, LISTS, page)
    answer: ToolsAnswer = listed.answer
    assert ("".join(tool.tool for tool in answer.tools), "".join(tool.tool for tool in answer.inner.agents)) == (
        tools,
        agents,
    )
    assert (type(answer.tools), type(answer.inner.agents), answer.total) == (tuple, list, 3)
    assert listed.totals == {
        name: ListTotal(*total) for name, total in zip(("tools", "inner.agents"), totals, strict=True)
    }


def test_a_route_without_lists_takes_no_page() -> None:
    """Its query is as it was."""
    assert with_page(NoQuery, "/a", ()) is NoQuery


def test_parameters() -> None:
    """Lists bring the parameters of a page beside those of the route; several lists one more, to choose of them."""
    query = with_page(EnvironmentQuery, "/api/v1/metrics/ai/agents", LISTS)
    assert (query.__name__, query.__struct_fields__) == (
        "ApiVMetricsAiAgentsQuery",
        ("environment", "limit", "offset", "sort", "q", "list"),
    )
    assert issubclass(query, EnvironmentQuery)
    assert page_asked(parse(b"", query), LISTS) == FIRST_PAGE
    asked = parse(b"limit=5&offset=10&sort=-uses&q=a&list=tools&environment=test", query)
    assert page_asked(asked, LISTS) == Page(5, 10, "-uses", "a", "tools")
    assert "list" not in with_page(EnvironmentQuery, "/a", LISTS[:1]).__struct_fields__


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (b"sort=name", "sort must be one of tool, uses, with a - before it or without, not 'name'"),
        (b"sort=--uses", "sort must be one of tool, uses, with a - before it or without, not '--uses'"),
        (b"list=models", "list must be one of tools, inner.agents, not 'models'"),
    ],
)
def test_what_there_is_not(asked: bytes, message: str) -> None:
    """A column or a list that there is not is an error that names those that there are."""
    query = with_page(EnvironmentQuery, "/a", LISTS)
    with pytest.raises(ValueError, match="must be one of") as caught:
        page_asked(parse(asked, query), LISTS)
    assert str(caught.value) == message


class Chosen(EnvironmentQuery, frozen=True, kw_only=True):
    """A query whose own `sort` says which rows there are, and how many are told where nobody says."""

    sort: str = "latency"
    limit: int = 20


def test_a_list_in_an_order_of_its_own() -> None:
    """Where `sort` is a parameter of the route, it says nothing of columns; the page is taken from its order."""
    lists = bound((Listing("tools", ("tool",), has_own_order=True),), ToolsAnswer)
    query = with_page(Chosen, "/calls", lists)
    assert query.__struct_fields__ == ("environment", "sort", "limit", "offset", "q")
    assert page_asked(parse(b"sort=cost&offset=1", query), lists) == Page(20, 1)


@pytest.mark.parametrize(
    ("listing", "message"),
    [
        (Listing("total", ()), "total of .* is <class 'int'>, and no list of rows"),
        (Listing("tools", ("name",)), r"rows of tools have no columns \['name'\]"),
    ],
)
def test_a_wrong_row_of_the_table(listing: Listing, message: str) -> None:
    """A route that names a list or a column that its answers do not have cannot be made."""
    with pytest.raises(TypeError, match=message):
        bound((listing,), ToolsAnswer)


def test_the_type_of_an_answer() -> None:
    """A handler that pages its lists itself answers the same as one that does not."""

    def paged(call: object) -> Listed[ToolsAnswer]:
        raise NotImplementedError

    def whole(call: object) -> ToolsAnswer | None:
        raise NotImplementedError

    handlers: list[Any] = [paged, whole]
    assert [answer_type(handler) for handler in handlers] == [ToolsAnswer, ToolsAnswer | None]
