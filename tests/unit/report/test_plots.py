from __future__ import annotations

import re
import xml.etree.ElementTree as ET

from templ.report.collect import read_results
from templ.report.plots import draw_plots


def test_what_a_run_has(run):
    titles = [plot.title for plot in draw_plots(read_results(run))]
    assert titles == [
        "How far from the crystal",
        "Is the confidence right",
        "Similar templates",
        "Cover of the core",
        "Seconds a target",
        "Memory a target",
        "Where it works",
        "Memory and workers over time",
    ]


def test_runs_of_before_know_no_confidence(run, alter):
    for place in range(5):
        alter(place, confidence=..., prospect=..., validity=...)
    titles = [plot.title for plot in draw_plots(read_results(run))]
    assert "Is the confidence right" not in titles
    assert "How far from the crystal" in titles


def test_plots_of_a_run_without_poses(run, alter):
    for place in range(5):
        alter(place, status="refused", reason="peptide", rmsd=None, poses=None)
    titles = [plot.title for plot in draw_plots(read_results(run))]
    assert "How far from the crystal" not in titles
    assert "Seconds a target" in titles


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
        own = set(re.findall(r'\bid="([^"]+)"', plot.svg))
        used = re.findall(r'(?:url\(#|<use xlink:href="#)([^")]+)', plot.svg)
        assert own.issuperset(used)
        names.append(own)
    assert sum(map(len, names)) == len(set().union(*names))
    strata = next(plot.svg for plot in plots if plot.title == "Where it works")
    assert "$x_1$ &lt;b&gt;&amp;" in strata


def test_points_lead_to_their_targets(run):
    plots = {plot.title: plot.svg for plot in draw_plots(read_results(run))}
    assert set(re.findall(r'xlink:href="#(t\d+)"', plots["Similar templates"])) == {f"t{i}" for i in range(5)}
