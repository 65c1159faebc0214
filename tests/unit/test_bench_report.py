"""What a bench says: as text, as JSON and back, as a chart, and beside an older one."""

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from ops.bench.report import Report, Series, chart, compare, dump, load, number
from ops.bench.tools import CannotMeasure, need_room, need_wrk, parse, quantile

WRK = """Running 2s test @ http://127.0.0.1:8080
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     6.33ms    1.20ms  20.00ms   82.50%
    Req/Sec     5.13k   310.10     5.60k    75.00%
  Latency Distribution
     50%    6.12ms
     75%    7.01ms
     90%  900.00us
     99%    1.25s
  10250 requests in 2.00s, 3.10MB read
  Non-2xx or 3xx responses: 12
Requests/sec:   5123.45
Transfer/sec:      1.55MB
"""
LIMIT = Series(name="limit <&>", unit="x/s", values=[200.0, 100.0, 300.0], is_limit=True)
OURS = Series(name="ours", unit="x/s", values=[50.0, 150.0])
REPORT = Report(bench="some", series=[LIMIT, OURS], ratios={"of the limit": 0.5})


def test_text() -> None:
    """Each row has the median, and from where to where it went; limits have their mark."""
    head, limit, ours, ratio = str(REPORT).splitlines()

    assert "some" == head
    assert limit.startswith("= limit <&>")
    assert limit.endswith("200 x/s (100 to 300)")
    assert ours.endswith("100 x/s (50 to 150)")
    assert ratio.endswith("0.50")


def test_json_and_back() -> None:
    """What is written for another run to compare with is read as it was."""
    assert [REPORT] == load(dump([REPORT]))
    assert 200 == json.loads(dump([REPORT]))[0]["series"][0]["median"]


@pytest.mark.parametrize("text", ["", "{}", "[1]", '[{"bench": "a"}]', "[" * 100_000, "null"])
def test_not_a_report(text: str) -> None:
    """Anything else is refused in words."""
    with pytest.raises(ValueError, match=r".") as caught:
        load(text)
    assert "\n" not in str(caught.value).strip()


def test_compare() -> None:
    """A line for each that both have: before, now, and now as a multiple of before."""
    faster = Report(bench="some", series=[LIMIT, Series(name="ours", unit="x/s", values=[250.0])])

    limit, ours = compare([faster], [REPORT]).splitlines()

    assert limit.startswith("=")
    assert limit.endswith("1.00 times")
    assert "100 ->        250 x/s, 2.50 times" in ours
    assert "nothing in it is in both" == compare([REPORT], [])


def test_chart() -> None:
    """The chart is well-formed, has a bar for each series, and the longest is the largest."""
    drawn = ElementTree.fromstring(chart([REPORT, REPORT]))
    bars = [one for one in drawn if one.tag.endswith("rect")][1:]

    assert 4 == len(bars)
    assert float(bars[0].get("width", "")) == 2 * float(bars[1].get("width", ""))
    assert "limit <&>" in [one.text for one in drawn]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (3, "3"), (1234.5, "1,234"), (0.123, "0.12"), (12.34, "12.3"), (-5.5, "-5.50")],
)
def test_number(value: float, text: str) -> None:
    """Numbers have as many digits as anyone reads."""
    assert text == number(value)


def test_wrk() -> None:
    """What wrk prints is read, in whichever unit."""
    load = parse(WRK)

    assert (5123.45, 6.12, 1250.0, 12) == (load.per_s, load.p50_ms, load.p99_ms, load.refused)


@pytest.mark.parametrize("text", ["", "unable to connect to 127.0.0.1:1 Connection refused"])
def test_wrk_without_a_figure(text: str) -> None:
    """What has no figure is said, with wrk's own words."""
    with pytest.raises(CannotMeasure, match="did not get through: " + text):
        parse(text)


def test_quantile() -> None:
    """The middle, and the end."""
    assert (50, 99) == (quantile([*map(float, range(100))], 0.5), quantile([99.0], 0.99))


def test_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No wrk, and no room on the disk: it says so, and what to do."""
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(CannotMeasure, match=r"wrk is not on PATH; .* the package wrk"):
        need_wrk()
    with pytest.raises(CannotMeasure, match="choose another with --folder"):
        need_room(tmp_path, 1 << 40)
    need_room(tmp_path, 0)
