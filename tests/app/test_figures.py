from app.figures import duration, number, percent, signed


def test_figures_read_well() -> None:
    assert [percent(share) for share in (0.754, 1.0, -0.25, None)] == ["75 %", "100 %", "−25 %", "—"]
    assert [duration(seconds) for seconds in (8.24, 75.4, 720.0)] == ["8.2 s", "75 s", "12 min"]
    assert [number(count) for count in (999, 12345, None)] == ["999", "12\u2009345", "—"]
    assert [signed(points) for points in (1.5, -0.5, 0.0, -0.01)] == ["+1.5", "−0.5", "0.0", "0.0"]
