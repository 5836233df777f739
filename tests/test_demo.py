from galaxyvotes.demo import demo


def test_a_demo_leaves_a_report_and_goes_on_where_it_was_stopped(tmp_path):
    first = demo(tmp_path / "demo", galaxies=60, epochs=1, progress=False)
    weights = tmp_path / "demo" / "run" / "weights.safetensors"
    written = weights.stat().st_mtime_ns
    assert first.path == tmp_path / "demo" / "report.html"
    again = demo(tmp_path / "demo", galaxies=60, epochs=1, progress=False)
    assert weights.stat().st_mtime_ns == written
    assert again.document["network"] == first.document["network"]
