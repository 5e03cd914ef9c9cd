from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import replace

from templ.report.collect import read_results
from templ.report.plots import draw_plots


def test_what_a_run_has(run):
    titles = [plot.title for plot in draw_plots(read_results(run))]
    assert titles == [
        "How far from the crystal",
        "Is the confidence right",
        "Similar templates",
        "Query coverage",
        "CPU time of each",
        "Memory of each",
        "Where it works",
        "Memory and workers over time",
    ]


def test_queries_without_crystals_have_plots_of_cost_alone(predicted):
    titles = [plot.title for plot in draw_plots(read_results(predicted))]
    assert titles[:2] == ["CPU time of each", "Memory of each"]
    assert {*titles[2:]} <= {"Memory and workers over time"}


def test_crystals_that_are_not_known_leave_nothing_to_judge_by(run, alter):
    for index, record in enumerate(read_results(run).records):
        alter(index, poses=tuple(replace(pose, rmsd=None) for pose in record.poses))
    titles = [plot.title for plot in draw_plots(read_results(run))]
    assert not {
        "Is the confidence right",
        "How far from the crystal",
        "Similar templates",
        "Where it works",
    } & {*titles}
    assert "CPU time of each" in titles


def test_plots_of_a_run_without_poses(run, alter):
    for index in range(5):
        alter(index, status="refused", reason="peptide", poses=())
    titles = [plot.title for plot in draw_plots(read_results(run))]
    assert "How far from the crystal" not in titles
    assert "CPU time of each" in titles


def test_a_plot_is_of_the_page(run, alter):
    """Whole XML, text as text, colours of the page, names of its own; what a group is called is text."""
    alter(0, group="$x_1$ <b>&")
    plots = draw_plots(read_results(run))
    names = []
    for plot in plots:
        ET.fromstring(plot.svg)
        assert "var(--good)" in plot.svg
        assert not re.findall("#[0-9a-f]{6}", plot.svg)
        assert "<metadata" not in plot.svg
        assert "_blank" not in plot.svg  # a point leads to its row, not to another tab
        own = set(re.findall(r'\bid="([^"]+)"', plot.svg))
        used = re.findall(r'(?:url\(#|<use xlink:href="#)([^")]+)', plot.svg)
        assert own.issuperset(used)
        names.append(own)
    assert sum(map(len, names)) == len(set().union(*names))
    strata = next(plot.svg for plot in plots if plot.title == "Where it works")
    assert "$x_1$ &lt;b&gt;&amp;" in strata


def test_a_long_name_of_a_group_leaves_room_for_the_plot(run, alter):
    alter(0, group="g" * 31)
    alter(1, group="h" * 30)
    (strata,) = [plot.svg for plot in draw_plots(read_results(run)) if plot.title == "Where it works"]
    assert f">{'g' * 29}…<" in strata
    assert f">{'h' * 30}<" in strata


def test_points_lead_to_their_targets(run):
    plots = {plot.title: plot.svg for plot in draw_plots(read_results(run))}
    assert set(re.findall(r'xlink:href="#(t\d+)"', plots["Similar templates"])) == {f"t{i}" for i in range(5)}
