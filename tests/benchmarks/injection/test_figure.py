from xml.etree import ElementTree

from benchmarks.injection.figure import bars
from benchmarks.injection.intervals import Estimate

SVG = "{http://www.w3.org/2000/svg}"


def test_each_row_is_a_bar_as_long_as_its_figure() -> None:
    picture = bars("a < b & c", [("base", Estimate(0.1, 0.05, 0.2)), ("pd+rag", Estimate(1.0, 0.9, 1.0))])
    drawn = ElementTree.fromstring(picture)
    widths = [float(bar.attrib["width"]) for bar in drawn.findall(f"{SVG}rect")[1:]]
    assert widths[1] == 10 * widths[0]
    texts = [text.text for text in drawn.findall(f"{SVG}text")]
    assert {"a < b & c", "base", "pd+rag", "10.0", "100.0"} <= set(texts)
