from galaxyvotes.runtime.notes import note, notes_in_words_of


def test_remarks_stand_on_standard_error_in_the_words_of_who_shows_them(capsys):
    note("plain")
    with notes_in_words_of(str.upper):
        note("translated")
    note("plain again")
    assert capsys.readouterr().err == "plain\nTRANSLATED\nplain again\n"
