"""The web app in a browser: each screen as a person uses it."""

from __future__ import annotations

import io
import json
import re
import threading

import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from web_app import HOSTILE, MANY

pytestmark = pytest.mark.slow
WAIT_MS = 40_000


@pytest.fixture
def visit(browser, served):
    """``visit(path, width=...)`` opens a page; nothing is said in its console, no other host asked."""
    told, contexts = [], []

    def opened(path, width=820, height=620, **options):
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(WAIT_MS)
        page.on("console", lambda message: told.append(message.text))
        page.on("pageerror", lambda error: told.append(str(error)))
        page.on("request", lambda sent: told.append(sent.url) if not is_ours(sent.url, served) else None)
        context.add_cookies([{"name": f"templ-{served.port}", "value": served.token, "url": served.home}])
        page.goto(served.home + path)
        return page

    opened.refused = (
        0  # requests that the test itself makes the server refuse: a browser says so in its console
    )
    yield opened
    for context in contexts:
        context.close()
    refusals = [line for line in told if "status of 400" in line]
    assert len(refusals) == opened.refused
    assert [line for line in told if line not in refusals] == []


def is_ours(url, server):
    return url.startswith((server.home, "blob:", "data:"))


def no_violations(page):
    """What axe finds wrong for those who do not see well or use no mouse."""
    found = Axe().run(page).response["violations"]
    return [(rule["id"], [node["html"][:120] for node in rule["nodes"]]) for rule in found]


def colours(page):
    """How many colours the 3D view has."""
    picture = Image.open(io.BytesIO(page.locator("#stage").screenshot()))
    return len(set(picture.convert("RGB").get_flattened_data()))


def picture_of(page):
    """Colours of the 3D view, and how often each is there."""
    picture = Image.open(io.BytesIO(page.locator("#stage").screenshot())).convert("RGB")
    return picture.getcolors(picture.width * picture.height)


def near(colours, ink):
    """Whether there is enough of a colour, lit from any side."""
    red, green, blue = (int(ink[start : start + 2], 16) for start in (1, 3, 5))

    def is_lit(r, g, b):
        apart = max(abs(r * blue - b * red), abs(g * blue - b * green), abs(r * green - g * red))
        return apart < 1500 and max(r, g, b) > 60

    return sum(count for count, colour in colours if is_lit(*colour)) > 100


def pose_page(visit, served, index=0, **options):
    page = visit(f"/runs/{served.jobs()[0]}/{index}", **options)
    page.wait_for_selector("#stage[data-ready=yes]")
    return page


def until(page, expression):
    """Wait until an expression is true; Playwright's own waiting needs `eval`, which is forbidden."""
    for _ in range(WAIT_MS // 100):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(100)
    raise AssertionError(expression)


def sticks_out(page):
    return page.evaluate("document.documentElement.scrollWidth > innerWidth")


def test_a_pose_in_3d(visit, served):
    page = pose_page(visit, served)
    until(page, "document.querySelectorAll('.names span').length > 3")
    assert colours(page) > 100
    names = set(page.locator(".names span").all_inner_texts())
    assert "HIS163" in names
    assert page.locator(".why:visible li").count() == 3
    # Ranks by arrow keys: another pose, its own reasons and files.
    page.keyboard.press("ArrowRight")
    assert page.locator("#ranks input:checked").input_value() == "2"
    assert page.locator(".rank:visible").get_attribute("data-rank") == "2"
    assert page.locator(".files:visible a").first.get_attribute("href").endswith("/0/2/sdf")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    assert page.evaluate("page.rank") == 1
    # An atom in the drawing is one in 3D, and an atom in 3D one in the drawing.
    page.locator(".query .spot[data-atom='3']:visible").hover()
    assert page.evaluate("page.viewer.mark !== null")
    page.evaluate("hovered(page.viewer.selected, 5)")
    assert page.locator(".spot.on:visible").get_attribute("data-atom") == "5"
    page.evaluate("mark(null)")
    # Support by the templates as colour, with a scale.
    page.locator("#tools input[value=support]").check()
    assert page.locator("#scale").is_visible()
    assert no_violations(page) == []


def test_distances_are_measured_by_clicking(visit, served):
    page = pose_page(visit, served)
    atoms = "page.viewer.selected.model.selectedAtoms({})"
    where = page.evaluate(f"page.viewer.viewer.modelToScreen({atoms}).map(({{ x, y }}) => [x, y])")
    for x, y in where:  # an atom may be behind another one
        page.mouse.click(x, y)
        page.wait_for_timeout(200)
        if page.evaluate("page.viewer.measured.length"):
            break
    text = page.locator("#measured li").inner_text()
    named = re.fullmatch(r"rank 1 [A-Z]([0-9]+) to rank 1 [A-Z]([0-9]+): ([0-9.]+) Å", text)
    if named:
        first, second = (int(number) - 1 for number in named.groups()[:2])
        apart = (
            f"Math.hypot(...['x', 'y', 'z'].map((axis) => {atoms}[{first}][axis] - {atoms}[{second}][axis]))"
        )
        assert float(named[3]) == pytest.approx(page.evaluate(apart), abs=0.01)
    assert re.search(r": [0-9]+[.][0-9][0-9] Å$", text)
    page.locator("#measured button").click()
    assert page.locator("#measured").inner_text() == ""


def test_a_link_opens_the_view_again(visit, served):
    page = pose_page(visit, served)
    page.keyboard.press("ArrowRight")
    page.locator("#tools input[value=cartoon]").check()
    page.locator("#tools input[value=labels]").uncheck()
    page.locator("#stage").focus()
    for _ in range(5):
        page.keyboard.press("Shift+ArrowUp")
    until(page, "page.viewer.receptor !== null")
    page.evaluate("remember()")
    link, view = page.url, page.evaluate("page.viewer.view")
    again = visit(link.removeprefix(served.home))
    again.wait_for_selector("#stage[data-ready=yes]")
    assert again.evaluate("page.rank") == 2
    assert again.evaluate("page.viewer.view") == pytest.approx(view, abs=0.01)
    assert again.locator("#tools input[value=cartoon]").is_checked()
    assert not again.locator("#tools input[value=labels]").is_checked()
    until(again, "page.viewer.receptor !== null")


def test_a_surface_under_the_policy_of_the_page(visit, served):
    """3Dmol computes it in workers that the policy must let it start."""
    page = pose_page(visit, served, width=500, height=500)
    page.locator("#tools input[value=surface]").check()
    until(page, "page.viewer.surface !== null")


def test_files_of_a_pose(visit, served):
    page = pose_page(visit, served)
    for link in page.locator(".files:visible a").all():
        with page.expect_download() as saved:
            link.click()
        assert saved.value.suggested_filename.startswith("isoquinoline-amide_1")
        assert saved.value.path().stat().st_size > 500


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_narrow_light_and_dark(visit, served, scheme):
    for path in ("/", "/runs", f"/runs/{served.jobs()[0]}", "/runs/one", "/compare?baseline=one&run=missed"):
        page = visit(path, width=400, height=800, color_scheme=scheme)
        page.wait_for_load_state("networkidle")
        assert not sticks_out(page), path
        assert no_violations(page) == [], path
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (max(map(int, re.findall(r"\d+", ground)[:3])) < 60) == (scheme == "dark")
    page = pose_page(visit, served, width=400, color_scheme=scheme)
    assert not sticks_out(page)
    assert no_violations(page) == []


def test_predict_from_a_smiles(visit, served):
    page = visit("/")
    page.locator("#smiles").fill("C=CC(=O)Nc1cnccc1C.Cl my-acrylamide")
    page.wait_for_selector("#lookup .card")
    told = page.locator("#lookup").inner_text()
    assert "A:CYS145" in told
    assert "left out: Cl" in told
    assert re.search(r"Prior confidence.*0\.\d\d", told)
    assert page.locator("#lookup .card").count() == 6
    page.locator("summary", has_text="More").click()
    page.locator("#covalent").fill("none")
    page.get_by_role("button", name="Predict").click()
    page.wait_for_url("**/runs/2*")
    page.wait_for_selector(".result h2 a")
    assert page.locator(".result h2").inner_text() == "my-acrylamide"
    page.wait_for_selector("#progress[data-state=finished]")
    page.locator(".result h2 a").press("Enter")
    page.wait_for_selector("#stage[data-ready=yes]")
    assert "it may bond to it, and the poses do not" in page.locator("body").inner_text()


def test_predict_refuses_in_words(visit, tmp_path):
    page = visit("/")
    page.locator("#smiles").fill("C1CC")
    page.wait_for_selector("#lookup .fault")
    visit.refused = 2
    assert "not a SMILES" in page.locator("#lookup").inner_text()
    page.locator("#smiles").fill("")
    page.get_by_role("button", name="Predict").click()
    until(page, "document.getElementById('wrong').textContent !== ''")
    path = tmp_path / "hostile.sdf"
    path.write_text(f"{HOSTILE}\n\n\n 99 99  0\n$$$$\n")
    page.locator("#file").set_input_files(path)
    until(page, "/0 of 1/.test(document.getElementById('dropped').textContent)")
    assert page.locator("#dropped .fault").count() == 1
    assert page.locator("#dropped img").count() == 0


def test_predict_does_not_go_on_without_a_file_that_was_refused(visit, tmp_path):
    page = visit("/")
    page.locator("#smiles").fill("CC(=O)Nc1cnccc1C")
    page.wait_for_selector("#lookup .card")
    for input, told in (("#receptor", "#receptors"), ("#file", "#dropped")):
        refused = tmp_path / ("ligand.sdf" if input == "#receptor" else "queries.xlsx")
        refused.write_text("nothing\n")
        page.locator(input).set_input_files(refused)
        visit.refused += 1
        page.get_by_role("button", name="Predict").click()  # at once, before the server has answered
        until(page, "/a file was refused/.test(document.getElementById('wrong').textContent)")
        page.locator(f"{told} button").click()
        until(page, f"document.querySelector('{told}').textContent === ''")
    page.get_by_role("button", name="Predict").click()
    page.wait_for_url("**/runs/2*")


def test_results_are_sorted_filtered_starred_and_exported(visit, served):
    page = visit(f"/runs/{served.jobs()[0]}")
    page.wait_for_selector(".result .pair svg")
    assert page.locator(".result").count() == 5
    assert "peptide" in page.locator(".result", has_text="decapeptide").inner_text()
    page.locator("#sort").select_option("confidence")
    numbers = [
        float(re.search(r"0\.\d\d", text)[0])
        for text in page.locator(".result", has_text="likely").all_inner_texts()
    ]
    assert numbers == sorted(numbers, reverse=True)
    page.locator("#filter").select_option("refused")
    assert page.locator(".result h2").all_inner_texts() == ["decapeptide"]
    page.locator(".star").click()
    page.locator("#filter").select_option("star")
    assert page.locator(".result h2").all_inner_texts() == ["decapeptide"]
    with page.expect_download() as saved:
        page.locator("#export").click()
    assert [line.split(",")[0] for line in saved.value.path().read_text().splitlines()] == [
        "id",
        "decapeptide",
    ]
    with page.expect_download() as saved:
        page.locator("#filter").select_option("very likely right")
        page.locator("#poses").click()
    poses = saved.value.path().read_text().split("$$$$\n")
    names = {text.split("\n")[0] for text in poses if text}
    assert names == set(page.locator(".result h2").all_inner_texts())
    assert no_violations(page) == []


def test_ten_thousand_results_scroll(visit):
    """Few are in the page at a time; the last is as near as the first, and names are text."""
    page = visit("/runs/many")
    page.wait_for_selector(".result")
    until(page, f"/{MANY:,} of {MANY:,}/.test(document.getElementById('count').textContent)")
    page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    until(page, "[...document.querySelectorAll('.chunk')].at(-1).childElementCount > 0")
    assert page.locator(".result").count() < 1000
    page.locator("#search").fill("onerror")
    until(page, "document.querySelectorAll('.result').length === 1")
    assert page.locator(".result h2").inner_text() == HOSTILE
    assert page.title() != "hacked"


def test_a_benchmark_is_followed_as_it_runs(visit):
    """Progress and memory as they come; at the end the figures are of all targets, the worst first."""
    page = visit("/runs")
    page.locator("#limit").fill("3")
    page.get_by_role("button", name="Run benchmark").click()
    page.wait_for_url("**/runs/2*")
    until(page, "/[0-3] of 3 done.* MB in [0-9] worker/.test(document.getElementById('told').textContent)")
    assert page.get_by_role("button", name="Stop").is_visible()
    page.wait_for_selector("#progress[data-state=finished]")
    until(page, "/ 3 targets attempted/.test(document.getElementById('summary').textContent)")
    page.locator("#controls").scroll_into_view_if_needed()  # cards are there where they are seen
    until(page, "document.querySelectorAll('.result').length === 3")
    texts = page.locator(".result").all_inner_texts()
    far = [float(re.search(r"RMSD ([0-9.]+)", text)[1]) for text in texts]
    assert far == sorted(far, reverse=True)


def test_a_benchmark_run(visit):
    page = visit("/runs/one")
    page.wait_for_selector("#summary .numbers")
    assert "first pose within 2 Å" in page.locator("#summary").inner_text()
    assert page.locator("#summary figure svg").count() >= 3
    points = page.locator("#brush .dot").count()
    assert points >= 2
    page.locator("#controls").scroll_into_view_if_needed()
    first = page.locator(".result p").first.inner_text()
    assert "RMSD" in first or "refused" in first
    # A brush over the right half of the plot chooses the targets with similar templates.
    page.locator("#brush").scroll_into_view_if_needed()
    box = page.locator("#brush").bounding_box()
    page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 5)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.98 * box["width"], box["y"] + 0.86 * box["height"], steps=4)
    page.mouse.up()
    low = float(page.locator("#low").input_value())
    assert 0.5 < low < 0.65
    alike = json.loads(page.evaluate("JSON.stringify(all.map((row) => [row.tanimoto, row.rmsd]))"))
    near, far, high = (float(page.locator(f"#{id}").input_value()) for id in ("near", "far", "high"))
    assert near < 0.2
    assert (far, high) >= (19, 0.95)
    inside = [
        low <= tanimoto <= high and rmsd is not None and near <= rmsd <= far for tanimoto, rmsd in alike
    ]
    expected = sum(inside)
    assert page.locator(".result").count() == expected
    page.locator("#clear").click()
    assert page.locator(".result").count() == len(alike)


def test_both_poses_of_a_target_that_changed_sides(visit, served):
    """Chosen in the table, seen beside it: two poses in colours of their own, and the crystal."""
    page = visit("/compare?baseline=one&run=missed", width=1200, height=800)
    rows = page.locator(".flips tbody tr").all_inner_texts()
    assert len(rows) == 1
    assert "A alone" in rows[0]
    look = page.locator(".look")
    look.click()
    page.wait_for_selector("#stage[data-ready]")
    target = page.locator("#overlaid").inner_text()
    assert rows[0].startswith(target)
    told = page.locator("#told").inner_text()
    assert re.fullmatch(r"Run A: [01]\.\d\d Å from the crystal; run B: 4\.25 Å from the crystal\.", told)
    assert look.get_attribute("aria-pressed") == "true"
    # Beside the table, in the same window: nobody has to look for it.
    table, stage = look.bounding_box(), page.locator("#stage").bounding_box()
    assert stage["x"] > table["x"]
    assert abs(stage["y"] - table["y"]) < 200
    shown = page.evaluate("viewer.models.map((entry) => [entry.name, viewer.isShown(entry)])")
    assert [name for name, on in shown if on] == ["crystal", "pocket", "run A", "run B"]
    inks = page.evaluate("['run A', 'run B'].map((name) => viewer.inkOf(viewer.find(name)))")
    assert len(set(inks)) == 2
    found = picture_of(page)
    assert all(near(found, ink) for ink in inks)
    assert no_violations(page) == []
    page.locator(".flips tbody a").nth(1).click()
    page.wait_for_url("**/runs/missed/1")


def test_compare(visit, served):
    page = visit("/compare?baseline=one&run=missed&run=many")
    assert page.locator(".verdict").count() == 1
    assert "95 % interval" in page.locator(".verdict").inner_text()
    assert "many" in page.locator(".fault").inner_text()  # no target in common
    assert "/" not in page.locator(".verdict").inner_text()  # no path of this machine
    status, body = served.ask("/api/overlay?a=one&b=missed&i=0&j=0")
    kinds = [model["kind"] for model in json.loads(body)["models"]]
    assert (status, sorted(kinds)) == (200, ["crystal", "pocket", "run-a", "run-b"])
    assert served.ask("/api/overlay?a=one&b=../missed&i=0&j=0")[0] == 404
    page = visit("/compare?baseline=one&run=one")
    assert page.locator(".verdict").count() == 0


def test_fifty_visitors_at_once(served):
    """Each asks for a page, rows, a view and the messages of a job; all are told the same."""
    job = served.jobs()[0]
    paths = ("/", f"/runs/{job}", f"/api/runs/{job}/rows", f"/api/runs/{job}/0", f"/api/runs/{job}/events")
    found = []

    def visitor():
        found.append([served.ask(path) for path in paths])

    threads = [threading.Thread(target=visitor) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 50
    assert {status for each in found for status, _ in each} == {200}
    assert len({each[2][1] for each in found}) == 1
    assert len({each[3][1] for each in found}) == 1


def test_the_address_that_is_printed_lets_in(browser, served):
    """With the token once, then by the cookie; the token does not stay in the address."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{served.home}/runs?token={served.token}")
    assert page.url == f"{served.home}/runs"
    page.goto(f"{served.home}/compare")
    assert page.locator("h1").inner_text() == "Compare runs"
    context.close()


def test_who_has_no_token_sees_nothing(served):
    for path in ("/", "/runs", f"/api/runs/{served.jobs()[0]}/rows", "/static/app.js"):
        assert served.ask(path, Cookie="")[0] == 403
    assert served.ask("/", Host="evil.example")[0] == 421
    assert served.ask("/api/jobs", "POST", b"{}", Origin="http://evil.example")[0] == 403
    assert served.ask("/api/jobs", "POST", b"[")[0] == 400
    for path in ("/runs/..%2f..%2fetc", "/static/..%2f..%2fpages.py", "/runs/%2e%2e/0"):
        status, body = served.ask(path)
        assert status == 404
        assert b"Traceback" not in body
