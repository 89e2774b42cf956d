import math

from hypothesis import given
from hypothesis import strategies as st

from tunesmith.core.curves import Curves

REPORTS = st.lists(
    st.tuples(
        st.integers(0, 4),
        st.integers(0, 10**6),
        st.dictionaries(st.sampled_from("abc"), st.none() | st.floats(-9, 9), min_size=1),
    ),
    max_size=200,
)


@given(REPORTS)
def test_each_trial_reads_back_its_own_reports(
    reports: list[tuple[int, int, dict[str, float | None]]],
) -> None:
    curves = Curves()
    for at, (trial, step, metrics) in enumerate(reports):
        curves.add(trial, step, metrics, float(at))
    assert len(curves) == len(reports)
    for trial in range(5):
        mine = [(s, m, at) for at, (t, s, m) in enumerate(reports) if t == trial]
        read = curves.of(trial)
        assert [r.step for r in read] == [s for s, _, _ in mine]
        assert [r.at for r in read] == [at for _, _, at in mine]
        for report, (_, metrics, _) in zip(read, mine, strict=True):
            assert {n: None if math.isnan(v) else v for n, v in report.metrics.items()} == metrics
        assert repr(curves.last(trial)) == repr(read[-1] if read else None)


def test_the_latest_of_each_metric() -> None:
    curves = Curves()
    curves.add(0, 1, {"a": 1.0, "b": 5.0}, 0.0)
    curves.add(1, 1, {"a": 9.0}, 0.0)
    curves.add(0, 2, {"a": 2.0}, 0.0)
    assert curves.latest(0) == {"a": 2.0, "b": 5.0}
    assert curves.latest(7) == {}


def test_what_is_not_finite_is_not_absent() -> None:
    curves = Curves()
    curves.add(0, 1, {"a": 1.0}, 0.0)
    curves.add(0, 2, {"a": None, "b": 1.0}, 0.0)
    first, second = curves.of(0)
    assert math.isnan(second.metrics["a"])
    assert "b" not in first.metrics
    assert math.isnan(curves.latest(0)["a"]), "the last value counts, even if it is none"
