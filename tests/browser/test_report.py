"""The report in a browser: what a reader can do with it."""

from __future__ import annotations

import io

import pytest
from PIL import Image

COLOURS_OF_NOTHING = 8
"""An empty view has its ground and its edge."""

pytestmark = pytest.mark.slow


def column(page, name):
    """Texts of a column, from top to bottom."""
    heads = [
        head.removesuffix(" ▴").removesuffix(" ▾")
        for head in page.locator("#table th button").all_inner_texts()
    ]
    return page.locator(f"#table tr.target td:nth-child({heads.index(name) + 1})").all_inner_texts()


def colours(page):
    """How many colours the 3D view has."""
    picture = Image.open(io.BytesIO(page.locator(".viewer").screenshot()))
    return len(set(picture.convert("RGB").get_flattened_data()))


def wait_for_view(page):
    """Wait until the last model, the pocket, is there and drawn."""
    page.locator(".shown label", has_text="pocket").wait_for()
    page.wait_for_timeout(300)


def open_first(page):
    page.locator("#table td.target a").first.click()
    wait_for_view(page)


def test_nothing_sticks_out(page):
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.title() == "demo-mpro: TEMPL report"


def test_sorting(page):
    head = page.locator("#table th button", has_text="RMSD")
    head.click()
    up = column(page, "RMSD")
    assert up[:-1] == sorted(up[:-1], key=float)
    assert up[-1] == "–"  # the failed one has none
    assert page.locator("#table th[aria-sort=ascending]").inner_text() == "RMSD"
    head.click()
    down = column(page, "RMSD")
    assert down[:-1] == up[:-1][::-1]
    assert down[-1] == "–"


def test_filter_and_search(page):
    before = column(page, "id")
    within = column(page, "outcome").count("within 2 Å")
    page.locator("#outcome").select_option(value="within 2 A")
    assert set(column(page, "outcome")) == {"within 2 Å"}
    assert page.locator("#count").inner_text() == f"{within} of 8 targets"
    page.locator("#clear").click()
    page.locator("#search").fill(before[3].upper())
    assert column(page, "id") == [before[3]]
    page.locator("#search").fill("no such target")
    assert column(page, "id") == []
    assert "No target matches “no such target”." in page.locator("#table tbody").inner_text()
    page.locator("#table tbody button", has_text="Show all").click()
    assert column(page, "id") == before
    page.locator("#clear").click()
    assert column(page, "id") == before


def test_failures_are_one_click_away(page):
    page.locator(".outcomes a", has_text="failed").click()
    assert page.locator("#count").inner_text() == "1 of 8 targets"


def test_what_others_wrote_is_shown_as_text(page):
    page.locator(".outcomes a", has_text="failed").click()
    page.locator("#table td.target a").click()
    page.wait_for_selector(".sheet p")
    assert "<script>document.title" in page.locator(".sheet p").first.inner_text()
    assert "分子" in page.locator("#table td.target").inner_text()
    assert page.locator("img").count() == 0
    assert page.title() == "demo-mpro: TEMPL report"
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_row_opens_its_drawings_numbers_and_3d_view(page):
    open_first(page)
    assert page.locator(".drawings svg").count() == 2
    assert page.locator(".drawings svg").first.bounding_box()["width"] > 80
    assert page.locator(".sheet tbody tr").count() >= 1
    assert colours(page) > 100
    # Each model can be switched off: then nothing is left to see.
    for box in page.locator(".shown input").all():
        box.uncheck()
    page.wait_for_timeout(300)
    assert colours(page) <= COLOURS_OF_NOTHING
    page.locator(".shown input").nth(1).check()
    page.wait_for_timeout(300)
    assert colours(page) > COLOURS_OF_NOTHING
    page.locator("#table td.target a").first.click()
    assert page.locator(".sheet").count() == 0


def drawn_core(page, name):
    """Atoms that are highlighted in a drawing, by its caption."""
    drawing = page.locator(".drawings figure", has=page.locator("figcaption", has_text=name))
    marks = drawing.locator("ellipse").evaluate_all("marks => marks.map(mark => mark.getAttribute('class'))")
    return {int(mark.removeprefix("atom-")) for mark in marks}


def test_the_columns_say_what_was_recorded(page, records):
    assert column(page, "method") == [pose.placement_method if (pose := r.first) else "" for r in records]
    known = [f"{record.query_coverage:.2f}" for record in records if record.first]
    assert [text for text in column(page, "coverage") if text != "–"] == known
    assert [text for text in column(page, "template") if text] == [
        r.first.template for r in records if r.first
    ]
    titles = page.locator("#table th button").evaluate_all("heads => heads.map(head => head.title)")
    assert "placement method of the first pose" in titles
    # What is told by pointing at a head is told to all readers above the table.
    page.locator("summary", has_text="What the columns say").click()
    assert page.locator("#columns dd").all_inner_texts() == titles
    assert all(titles)


def test_a_row_opens_what_was_recorded(page, records):
    """The atoms that are highlighted are those that were copied, and no others."""
    open_first(page)
    core = records[0].first.core
    assert drawn_core(page, "query") == {atom for atom, _ in core}
    assert drawn_core(page, "template") == {atom for _, atom in core}
    facts = dict(
        zip(
            page.locator(".sheet dt").all_inner_texts(),
            page.locator(".sheet dd").all_inner_texts(),
            strict=True,
        )
    )
    assert (
        facts["prior confidence: from the templates alone, before posing"]
        == f"{records[0].prior_confidence:.2f}"
    )
    assert facts["templates allowed: crystal ligands that the rule lets it use"] == str(
        records[0].templates_allowed
    )
    rows = page.locator(".sheet tbody tr").all_inner_texts()
    assert [row.split() for row in rows] == [
        [str(rank), f"{pose.score:.2f}", f"{pose.confidence:.2f}", f"{pose.rmsd:.2f}"]
        for rank, pose in enumerate(records[0].poses, 1)
    ]


def test_a_prediction_has_its_page_too(predicted_page):
    assert "1 of 2 queries have poses" in predicted_page.locator(".headline").inner_text()
    heads = predicted_page.locator("#table th button").all_inner_texts()
    assert "RMSD" not in heads
    assert {"outcome", "confidence", "method", "coverage"} <= set(heads)
    assert column(predicted_page, "outcome") == ["posed", "refused: unsupported-element"]
    open_first(predicted_page)
    assert predicted_page.locator(".drawings svg").count() == 2
    assert drawn_core(predicted_page, "query")
    names = [text.strip() for text in predicted_page.locator(".shown label").all_inner_texts()]
    assert names[-2:] == ["template", "pocket"]
    assert "crystal" not in names
    assert colours(predicted_page) > 100


def test_one_view_serves_one_target_after_the_other(page):
    open_first(page)
    page.locator("#table td.target a").nth(1).click()
    wait_for_view(page)
    assert page.locator(".sheet").count() == 1
    assert page.locator("canvas").count() == 1
    assert colours(page) > 100


def test_by_keyboard_alone(page):
    page.locator("#search").focus()
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.closest('td.target') !== null"):
            break
    page.keyboard.press("Enter")
    wait_for_view(page)
    assert page.locator("#table td.target a").first.get_attribute("aria-expanded") == "true"
    page.locator(".viewer").focus()
    before = page.locator(".viewer").screenshot()
    page.keyboard.press("ArrowLeft")
    page.wait_for_timeout(300)
    assert page.locator(".viewer").screenshot() != before


def test_a_point_of_a_plot_leads_to_its_target(page):
    link = page.locator(".plot a").first
    target = link.get_attribute("xlink:href")
    # Its colour says how it was placed, not that it can be clicked.
    ink = "link => getComputedStyle(link).color"
    assert link.evaluate(ink) == page.locator("figure").first.evaluate(ink)
    link.click()
    page.wait_for_selector(".sheet")
    assert page.locator("tr.open").get_attribute("id") == target.removeprefix("#")
    assert len(page.context.pages) == 1
    assert page.url.endswith(target)


def test_the_legend_of_a_plot_has_the_colours_of_its_points(page):
    colours = "marks => marks.map(mark => getComputedStyle(mark).fill + getComputedStyle(mark).fillOpacity)"
    for title in ("Similar templates", "Query coverage"):
        figure = page.locator("figure", has=page.locator("h3", has_text=title))
        points = set(figure.locator("a use").evaluate_all(colours))
        legend = figure.locator("[id*=legend] use").evaluate_all(colours)
        assert len(legend) == len(set(legend)) > 0
        assert set(legend) == points


OVERLAPS = """plot => {
    const found_in = (what) => [...plot.querySelectorAll(what)].map((part) => [part.textContent || "a point",
        part.getBoundingClientRect()]);
    const boxes = found_in("text"), marks = found_in("a use");
    const found = [];
    boxes.forEach(([one, a], index) => [...boxes.slice(index + 1), ...marks].forEach(([other, b]) => {
        const over = Math.min(a.right, b.right) - Math.max(a.left, b.left);
        const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
        if (over > 1 && high > 2) found.push(`${one} / ${other}`);
    }));
    return found;
}"""


def test_no_label_of_a_plot_lies_on_another_or_on_a_point(page):
    plots = page.locator(".plot").all()
    assert len(plots) > 5
    assert [plot.evaluate(OVERLAPS) for plot in plots] == [[]] * len(plots)


def test_rows_are_walked_through_and_the_address_follows(page):
    ids = column(page, "id")
    page.locator("#table td.target a").nth(1).click()
    page.wait_for_selector(".sheet")
    assert page.url.endswith("#t1")
    assert page.locator(".steps").inner_text().split("\n")[0].startswith(ids[1])
    page.locator(".steps button", has_text="Next").click()
    page.wait_for_selector("tr#t2.open")
    page.wait_for_function("document.activeElement.textContent.startsWith('Next')")  # on the new sheet
    page.keyboard.press("Enter")
    page.wait_for_selector("tr#t3.open")
    assert page.url.endswith("#t3")
    page.locator(".steps button", has_text="Previous").click()
    page.wait_for_selector("tr#t2.open")
    page.go_back()
    page.wait_for_selector("tr#t3.open")
    page.keyboard.press("Escape")
    assert page.locator(".sheet").count() == 0
    assert "#" not in page.url
    assert page.evaluate("document.activeElement.getAttribute('href')") == "#t3"
    page.go_back()
    page.wait_for_selector("tr#t3.open")


def test_a_link_opens_its_target(browser, page_path, page):
    page.goto(f"{page_path.as_uri()}#t4")
    page.reload()
    page.wait_for_selector("tr#t4.open")


def test_a_table_that_is_wider_than_its_window_says_so(page):
    said = []
    for frame in page.locator(".scroll").all():
        wider = frame.evaluate("frame => frame.scrollWidth > frame.clientWidth + 1")
        hint = frame.locator("xpath=preceding-sibling::p[contains(@class, 'sideways')][1]")
        assert hint.is_visible() == wider
        assert frame.evaluate("frame => frame.classList.contains('more-right')") == wider
        said.append(wider)
    assert set(said) == {True, False}
    page.evaluate("document.getElementById('frame').scrollLeft = 9999")
    page.wait_for_selector("#frame.more-left")
    assert not page.locator("#frame").evaluate("frame => frame.classList.contains('more-right')")


def test_a_query_without_poses_has_its_drawing(predicted_page):
    predicted_page.locator("#table td.target a").nth(1).click()
    predicted_page.wait_for_selector(".sheet svg")
    assert predicted_page.locator(".drawings svg").count() == 1
    assert "[Fe]OCCO" in predicted_page.locator(".sheet").inner_text()


def test_paper_has_every_column(page):
    """182 mm are what A4 leaves between its margins."""
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 688, "height": 1000})
    heads = page.locator("#table th").evaluate_all(
        "heads => heads.map(head => head.getBoundingClientRect().right)"
    )
    assert len(heads) > 10
    assert max(heads) <= 688
    cut = "frames => frames.filter(frame => frame.scrollWidth > frame.clientWidth + 1).length"
    assert page.locator(".scroll").evaluate_all(cut) == 0
    cells = page.locator("#table td").evaluate_all(
        "cells => cells.filter(cell => cell.scrollWidth > cell.clientWidth + 1).map(cell => cell.textContent)"
    )
    assert cells == []


def test_dark_and_print(page):
    """Light letters on a dark ground, and dark ones on paper."""

    def ink():
        return page.evaluate("getComputedStyle(document.body).color")

    page.emulate_media(color_scheme="dark")
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert max(map(int, dark[4:-1].split(","))) < 60
    assert min(map(int, ink()[4:-1].split(","))) > 180
    page.emulate_media(color_scheme="dark", media="print")
    assert ink() == "rgb(0, 0, 0)"
    assert not page.locator("#controls").is_visible()
