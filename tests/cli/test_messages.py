from galaxyvotes.cli.messages import as_options


def test_arguments_of_python_become_options():
    assert as_options("leave out `fit=True`") == "leave out --fit"
    assert as_options("`scale=0.42` or `run=…`") == "--scale 0.42 or --run"
    assert (
        as_options('`recipe="paper"`, `id_column="objid"`') == "--recipe paper, --id-column objid"
    )
    assert as_options("pack with `settings=PackSettings(208, 96)`") == (
        "pack with --crop 208 --size 96"
    )


def test_everything_else_stays_as_it_is():
    for message in ("train.epochs=10", "the file a=b.csv", "`galaxyvotes.Run`", "x = `y`"):
        assert as_options(message) == message
