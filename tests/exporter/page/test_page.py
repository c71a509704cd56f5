"""What the page does around its views, in a real browser: its address, its questions, its token, what fails."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.exporter.page.answers import (
    ABOVE,
    ALERTS,
    API,
    MODEL,
    STATUS,
    answer,
    answer_models,
    eventually,
    fulfill,
    texts,
)

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

pytestmark = pytest.mark.e2e


def test_a_long_table_is_in_its_address(page: Page, server: str) -> None:
    """Of 200 models the server is asked for the 25 that are shown; search, order and page stand in the address."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url.removeprefix(f"{server}api/v1/metrics/")))
    answer_models(page, *(MODEL | {"model_name": f"model-{n:03}", "inference_count": n} for n in range(200)))
    rows = ".listing tbody th a"
    page.goto(f"{server}#/models")
    page.wait_for_selector(rows)
    assert texts(page, rows) == [f"model-{n:03}" for n in range(199, 174, -1)]
    assert page.evaluate("document.documentElement.scrollHeight") < 6000
    page.get_by_role("button", name="Next").click()
    eventually(page, lambda: texts(page, rows)[0] == "model-174")
    page.get_by_role("button", name="Model", exact=True).click()
    eventually(page, lambda: texts(page, rows)[0] == "model-000")
    search = page.get_by_label("Search in Models")
    search.type("19")
    eventually(page, lambda: texts(page, rows) == [f"model-{n:03}" for n in (19, 119, *range(190, 200))])
    assert search.evaluate("field => field === document.activeElement")
    assert texts(page, ".search .note") == ["12 of 200"]
    assert "ai/models?window=24h&sort=model_name&q=19&limit=25" in asked
    assert page.url == f"{server}#/models?sort=model&q=19"
    page.reload()
    page.wait_for_selector(rows)
    assert texts(page, rows) == [f"model-{n:03}" for n in (19, 119, *range(190, 200))]
    assert page.get_by_label("Search in Models").input_value() == "19"
    page.goto(f"{server}#/models?page=9")
    page.wait_for_url(f"{server}#/models?page=8")
    eventually(page, lambda: texts(page, rows) == [f"model-{n:03}" for n in range(24, -1, -1)])


def test_a_table_is_saved(page: Page, server: str) -> None:
    """The same rows as CSV, in the order of the table and up to a thousand, are fetched with the token and saved."""
    answer_models(page, MODEL)
    asked: list[tuple[str, str, str | None]] = []

    def table(route: Route) -> None:
        headers = route.request.headers
        if headers.get("accept") != "text/csv":
            route.fallback()
            return
        asked.append((route.request.url.removeprefix(server), headers["accept"], headers.get("authorization")))
        disposition = {"content-disposition": 'attachment; filename="ai-models.csv"'}
        route.fulfill(body="model_name\r\n'=m\r\n", content_type="text/csv", headers=disposition)

    guarded(page, [])
    page.route(API + "ai/models?**", table)
    page.goto(f"{server}#/models?q=gpt&sort=-cost")
    page.get_by_label("Token", exact=True).fill("right")
    page.keyboard.press("Enter")
    page.wait_for_selector(".listing tbody tr")
    with page.expect_download() as saved:
        page.get_by_role("link", name="Models as CSV").click()
    assert saved.value.suggested_filename == "ai-models.csv"
    assert saved.value.path().read_bytes() == b"model_name\r\n'=m\r\n"
    question = "api/v1/metrics/ai/models?window=24h&sort=-cost.total_usd&q=gpt"
    assert asked == [(question, "text/csv", "Bearer right")]


def test_the_address_narrows_every_question(page: Page, server: str) -> None:
    """Time range, comparison and environment are in the address and in the questions, and go along to other views."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url.removeprefix(server)))
    page.goto(f"{server}#/models?window=7d&compare=previous&environment=test")
    page.wait_for_selector(".empty")
    assert "api/v1/metrics/ai/models?window=7d&environment=test&sort=-inference_count&limit=25" in asked
    assert "api/v1/metrics/ai/series?window=7d&compare=previous&environment=test" in asked
    page.get_by_role("link", name="Users", exact=True).click()
    page.wait_for_url("**/#/users?window=7d&compare=previous&environment=test")
    page.get_by_label("Last").select_option("90d")
    page.wait_for_url("**/#/users?window=90d&compare=previous&environment=test")
    eventually(page, lambda: "api/v1/metrics/users/summary?window=90d&environment=test" in asked)
    page.go_back()
    page.go_back()
    page.wait_for_selector("h1:text-is('Models')")
    assert page.said == []  # type: ignore[attr-defined]


def test_a_model_that_is_not_there(page: Page, server: str) -> None:
    """An address of a model that nobody knows gets the server's words in its place, and no alarm of the page."""
    page.goto(f"{server}#/models/nobody/1")
    page.wait_for_selector("#main [role=alert]")
    assert texts(page, "#main [role=alert]") == ["no model named 'nobody 1'"]
    assert page.locator("#problem:visible").count() == 0


def test_what_the_server_sends_is_text(page: Page, server: str) -> None:
    """Markup in the name of a model, an alert or an error is shown as it is, and runs nowhere."""
    evil = '<img src=x onerror="document.title=\'owned\'"><script>document.title="owned"</script>'
    answer_models(page, MODEL | {"model_name": evil, "model_version": evil})
    answer(page, "status", STATUS | {"firing": [ABOVE | {"sentence": evil, "cause": evil}]})
    answer(page, "alerts", ALERTS)
    answer(page, "kpis", evil, 500)
    page.goto(f"{server}#/models")
    page.wait_for_selector(".listing tbody tr")
    page.wait_for_selector("#problem:not([hidden])")
    assert evil in page.locator(".listing tbody th").inner_text()
    assert evil in page.locator("#problem").inner_text()
    page.goto(f"{server}#/alerts")
    page.wait_for_selector(".alerts li")
    assert evil in page.locator(".alerts li").inner_text()
    assert page.locator("main img, main script, header img[src=x]").count() == 0
    assert page.title() == "Alerts – otel-measure"


def test_a_server_that_is_gone(page: Page, server: str) -> None:
    """When no answer comes the page says since when, dims what is old, and recovers by itself."""
    page.clock.install()
    answer_models(page, MODEL)
    page.goto(f"{server}#/models")
    page.wait_for_selector(".listing tbody tr")
    page.route(API + "**", lambda route: route.abort())
    page.clock.run_for(10_000)
    page.wait_for_selector("#problem:not([hidden])")
    assert re.fullmatch(
        r"The server does not answer since \d\d:\d\d:\d\d\. What is shown is older\. Trying again by itself\.",
        page.locator("#problem").inner_text(),
    )
    assert page.locator("body.stale .listing tbody tr").count() == 1
    page.unroute(API + "**")
    page.wait_for_selector("#problem", state="hidden")
    page.wait_for_selector("body:not(.stale)")


def test_an_error_of_the_server_is_told(page: Page, server: str) -> None:
    """The server's own words about what is wrong stand in the banner."""
    answer(page, "ai/models", "store unavailable (locked)", 503)
    page.goto(f"{server}#/models")
    page.wait_for_selector("#problem:not([hidden])")
    assert re.fullmatch(
        r"The server answers with an error since \d\d:\d\d:\d\d: store unavailable \(locked\)",
        page.locator("#problem").inner_text(),
    )


def guarded(page: Page, asked: list[str | None]) -> None:
    """Let the server want a token, and remember with which it was asked."""

    def guard(route: Route) -> None:
        asked.append(route.request.headers.get("authorization"))
        if asked[-1] == "Bearer right":
            route.fallback()
        else:
            fulfill(route, {"status": "error", "message": "a valid token is needed"}, 401)

    page.route(API + "**", guard)


def test_it_asks_for_a_token(page: Page, server: str) -> None:
    """A token is asked for once in a tab: Escape, a wrong one and a reload with it lead back to the question."""
    asked: list[str | None] = []
    answer_models(page, MODEL)
    guarded(page, asked)
    page.goto(f"{server}#/models")
    page.wait_for_selector("dialog[open]")
    for _ in range(3):
        page.keyboard.press("Escape")
    page.wait_for_selector("dialog[open]")
    page.get_by_label("Token", exact=True).fill("wrong")
    page.get_by_role("button", name="Continue").click()
    page.wait_for_selector("#login-problem:not(:empty)")
    page.reload()
    page.wait_for_selector("#login-problem:not(:empty)")
    assert page.locator("#login-problem").inner_text() == "The server does not accept this token."
    page.get_by_label("Token", exact=True).fill("right")
    page.keyboard.press("Enter")
    page.wait_for_selector(".listing tbody tr")
    page.wait_for_selector("dialog[open]", state="hidden")
    page.reload()
    page.wait_for_selector(".listing tbody tr")
    assert set(asked) == {None, "Bearer wrong", "Bearer right"}
    assert page.evaluate("[sessionStorage.length, localStorage.length, document.cookie]") == [1, 0, ""]


def test_a_question_under_way_is_asked_again(page: Page, server: str) -> None:
    """A question that is refused after somebody has given a token, because it was asked before, is asked with it."""
    under_way: list[Route] = []
    answer_models(page, MODEL)
    guarded(page, [])

    def models(route: Route) -> None:
        if "authorization" in route.request.headers:
            route.fallback()
        else:
            under_way.append(route)

    page.route(API + "ai/models?**", models)
    page.goto(f"{server}#/models")
    eventually(page, lambda: len(under_way) == 1)
    page.get_by_label("Token", exact=True).fill("right")
    page.keyboard.press("Enter")
    page.wait_for_selector("dialog[open]", state="hidden")
    fulfill(under_way[0], {"status": "error", "message": "a valid token is needed"}, 401)
    page.wait_for_selector(".listing tbody tr")


def test_a_link_is_opened_with_the_token(page: Page, server: str) -> None:
    """What only a token opens is fetched with it and shown as text in a tab of its own."""
    guarded(page, [])
    seen: list[str | None] = []

    def metrics(route: Route) -> None:
        seen.append(route.request.headers.get("authorization"))
        route.fulfill(body="<b>up</b> 1", content_type="text/html")

    page.context.route("**/metrics", metrics)
    page.goto(server)
    page.wait_for_selector("dialog[open]")
    page.get_by_label("Token", exact=True).fill("right")
    page.keyboard.press("Enter")
    page.wait_for_selector("dialog[open]", state="hidden")
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="Prometheus exposition").click()
    opened.value.wait_for_load_state()
    assert opened.value.locator("body").inner_text() == "<b>up</b> 1"
    assert (opened.value.url.split(":")[0], seen) == ("blob", ["Bearer right"])
    opened.value.close()
    page.context.unroute("**/metrics")


def test_an_update_waits_while_text_is_selected(page: Page, server: str) -> None:
    """What is selected stays through every refresh, and what came meanwhile is shown when nothing is selected."""
    told = {"status": "healthy", "platform": "Linux", "uptime_seconds": 60, "disk": {}, "network": {}, "cpu": {}}
    asked: list[int] = []

    def summary(route: Route) -> None:
        asked.append(len(asked))
        data = told | {"memory": {"used_percent": float(len(asked))}, "cpu": {"scope": "host"}}
        fulfill(route, {"status": "success", "data": data}, 200)

    page.clock.install()
    page.route(API + "infrastructure/summary", summary)
    page.goto(f"{server}#/machines")
    memory = page.locator(".tile", has_text="Memory").locator(".figure")
    memory.wait_for()
    before = memory.inner_text()
    page.evaluate("getSelection().selectAllChildren(document.querySelector('.sentence'))")
    for _ in range(3):
        with page.expect_response(API + "infrastructure/summary"):
            page.clock.run_for(5000)
    page.wait_for_load_state("networkidle")
    assert page.evaluate("getSelection().toString()").startswith("this machine is healthy")
    assert memory.inner_text() == before
    page.evaluate("getSelection().removeAllRanges()")
    eventually(page, lambda: memory.inner_text() != before)


def test_a_hidden_page_asks_nothing(page: Page, server: str) -> None:
    """While nobody looks no question is asked; who comes back is answered at once."""
    page.clock.install()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(server)
    page.wait_for_selector(".empty")
    show = "hidden => { Object.defineProperty(document, 'hidden', { value: hidden, configurable: true }); "
    page.evaluate(show + "document.dispatchEvent(new Event('visibilitychange')); }", True)
    page.wait_for_load_state("networkidle")
    asked.clear()
    page.clock.run_for(120_000)
    assert asked == []
    page.evaluate(show + "document.dispatchEvent(new Event('visibilitychange')); }", False)
    eventually(page, lambda: len(asked) > 0)


def test_it_works_below_a_prefix(page: Page, server: str) -> None:
    """Every address of the page is relative, so it asks below the prefix it was loaded from."""
    asked: list[str] = []

    def below(route: Route) -> None:
        path = route.request.url.removeprefix(server)
        asked.append(path)
        route.fulfill(response=route.fetch(url=server + path.removeprefix("measure/")))

    page.route(server + "measure/**", below)
    page.goto(server + "measure/")
    page.wait_for_selector(".empty .snippet")
    assert {path for path in asked if not path.startswith("measure/")} == set()
    assert "measure/api/v1/metrics/status?limit=6" in asked
    assert f"OTEL_EXPORTER_OTLP_ENDPOINT={server}measure\n" in page.locator(".snippet code").all_inner_texts()[1]


def test_it_follows_the_colours_of_the_system(page: Page, server: str) -> None:
    """A dark system gets a dark page, also when it turns dark while the page is open."""
    page.goto(server)
    page.wait_for_selector(".empty")
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.emulate_media(color_scheme="dark")
    assert (light, page.evaluate("getComputedStyle(document.body).backgroundColor")) == (
        "rgb(245, 246, 248)",
        "rgb(17, 20, 25)",
    )
    assert page.said == []  # type: ignore[attr-defined]


def test_a_keyboard_reaches_the_figures(page: Page, server: str) -> None:
    """The first stop of the keyboard leads past the head of the page, and a view begins at its heading."""
    page.goto(f"{server}#/kpis")
    page.wait_for_selector("h1:text-is('KPIs')")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.innerText") == "KPIs"
    page.get_by_role("link", name="Senders", exact=True).press("Enter")
    page.wait_for_selector("h1:text-is('Senders')")
    eventually(page, lambda: page.evaluate("document.activeElement.innerText") == "Senders")
    assert page.url == f"{server}#/senders"
