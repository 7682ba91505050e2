"""The reader's folder gets new chapters, and loses nothing that the reader has done."""

import pytest

from tools.work import main, update


@pytest.fixture
def folders(tmp_path):
    work, edition = tmp_path / "work", tmp_path / "edition"
    (edition / "part").mkdir(parents=True)
    for name in ("one", "two"):
        (edition / "part" / f"{name}.ipynb").write_text(f"{name}, first", encoding="utf-8")
    return work, edition


def text(folder, name):
    return (folder / "part" / f"{name}.ipynb").read_text(encoding="utf-8")


def edit(folder, name, words):
    (folder / "part" / f"{name}.ipynb").write_text(words, encoding="utf-8")


def test_a_folder_is_filled(folders):
    assert update(*folders) == []
    assert text(folders[0], "one") == "one, first"


def test_a_copy_nobody_worked_in_is_renewed(folders):
    work, edition = folders
    update(work, edition)
    edit(edition, "one", "one, second")
    assert update(work, edition) == []
    assert text(work, "one") == "one, second"


def test_work_is_kept_and_told_of_only_if_the_chapter_has_changed(folders):
    work, edition = folders
    update(work, edition)
    edit(work, "one", "mine")
    edit(work, "two", "mine too")
    assert update(work, edition) == []
    edit(edition, "one", "one, second")
    for _ in range(2):
        assert update(work, edition) == ["part/one.ipynb"]
    assert (text(work, "one"), text(work, "two")) == ("mine", "mine too")


def test_a_copy_that_was_renamed_makes_room(folders):
    work, edition = folders
    update(work, edition)
    (work / "part" / "one.ipynb").rename(work / "part" / "my one.ipynb")
    edit(edition, "one", "one, second")
    assert update(work, edition) == []
    assert (text(work, "one"), text(work, "my one")) == ("one, second", "one, first")


def test_a_file_of_the_reader_that_was_there_before_is_kept(folders):
    work, edition = folders
    (work / "part").mkdir(parents=True)
    edit(work, "one", "mine")
    assert update(work, edition) == ["part/one.ipynb"]
    assert (text(work, "one"), text(work, "two")) == ("mine", "two, first")


def test_the_reader_who_arrives_at_the_new_edition_alone_is_up_to_date(folders):
    work, edition = folders
    update(work, edition)
    for folder in folders:
        edit(folder, "one", "one, second")
    assert update(work, edition) == []
    edit(edition, "one", "one, third")
    assert update(work, edition) == []
    assert text(work, "one") == "one, third"


def test_a_hub_fills_a_students_folder_from_the_edition_as_it_was_built(folders, monkeypatch, capsys):
    work, edition = folders
    monkeypatch.setattr("tools.work.LEARNER", edition)
    monkeypatch.setattr("tools.work.write_editions", lambda: pytest.fail("the student may not write there"))
    monkeypatch.setattr("sys.argv", ["work", "--built", str(work)])
    main()
    assert text(work, "one") == "one, first" and str(work) in capsys.readouterr().out
