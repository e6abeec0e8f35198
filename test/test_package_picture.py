"""The picture of the packages in docs/design.md, and how it is renewed."""

import pytest
from house import FLOORS, packages
from package_picture import BEGIN, DESIGN, END, WIDTHS, insert, picture, purpose


def test_the_design_shows_the_packages_as_they_are():
    shown = DESIGN.read_text().partition(BEGIN)[2].partition(END)[0]
    assert shown == f"\n\n```\n{picture()}```\n\n", "renew it with `python test/package_picture.py --write`"


def test_each_package_stands_on_one_floor_and_none_is_missing():
    assert sorted(name for floor in FLOORS for name in floor) == sorted(packages())


def test_each_package_says_in_one_sentence_what_it_is_for():
    for name in packages():
        assert purpose(name)
        assert len(purpose(name)) <= 2 * WIDTHS[1], name


def test_only_what_is_between_the_marks_is_replaced(tmp_path):
    document = tmp_path / "design.md"
    document.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    for _ in range(2):
        insert(document, "new\n")
        assert document.read_text() == f"before\n{BEGIN}\n\n```\nnew\n```\n\n{END}\nafter\n"


@pytest.mark.parametrize(("text", "missing"), [(f"{END}\n", BEGIN), (f"{BEGIN}\n", END)])
def test_a_document_without_the_marks_is_left_alone(tmp_path, text, missing):
    document = tmp_path / "design.md"
    document.write_text(text)
    with pytest.raises(ValueError, match=missing):
        insert(document, "new\n")
    assert document.read_text() == text
