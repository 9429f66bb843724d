"""Two texts as one: what was added and struck, by paragraphs and by words."""

from portal.comparison import ADDED, SAME, STRUCK, Passage, compare


def passages(old: str, new: str) -> list[Passage]:
    """Return all that is compared, headings as well."""
    sections = compare(old, new)
    heads = [[section.heading] if section.heading else [] for section in sections]
    return [one for head, rest in zip(heads, sections, strict=True) for one in head + rest.passages]


def told(old: str, new: str) -> list[list[tuple[str, str]]]:
    """Return what became of each passage."""
    return [[(one.change, one.text) for one in passage.pieces] for passage in passages(old, new)]


def test_a_word_that_was_replaced_is_struck_and_the_new_one_added() -> None:
    assert told("You pay within sixty minutes.", "You pay within ninety minutes.") == [
        [(SAME, "You pay within "), (STRUCK, "sixty"), (ADDED, "ninety"), (SAME, " minutes.")]
    ]


def test_chinese_is_compared_by_the_character() -> None:
    assert told("订单六十分钟内没有付款就关闭。", "订单九十分钟内没有付款就关闭。")[0][1:3] == [
        (STRUCK, "六"),
        (ADDED, "九"),
    ]


def test_paragraphs_that_came_and_went_are_whole() -> None:
    old, new = "Kept as it is.\n\nThis one goes.", "Kept as it is.\n\nAnother entirely: new!"
    assert told(old, new)[1:] == [[(ADDED, "Another entirely: new!")], [(STRUCK, "This one goes.")]]


def test_how_a_text_looks_is_not_compared() -> None:
    (section,) = compare("It *is* [so](/a/).", "It **is** so.")
    assert not section.is_changed


def test_changes_stand_in_their_sections() -> None:
    first, second = compare(
        "# One\n\n- a b c d\n\n# Two\n\nsame", "# One\n\n- a b c e\n\n# Two\n\nsame"
    )
    assert (first.is_changed, second.is_changed) == (True, False)
    assert first.passages[0].kind == "item"


def test_rows_of_tables_are_compared() -> None:
    table = "| Data | Time |\n| --- | --- |\n| orders | {} |"
    changed = [
        one for one in passages(table.format("1 year"), table.format("2 years")) if one.is_changed
    ]
    assert [one.kind for one in changed] == ["row"]


def test_a_paragraph_too_long_to_compare_is_struck_and_added_whole() -> None:
    old, new = "ab " * 2_000, "ab " * 1_999 + "cd"
    assert [change for ((change, _text),) in told(old, new)] == [ADDED, STRUCK]


def test_a_text_of_too_many_paragraphs_is_compared_in_part() -> None:
    assert len(passages("x\n\n" * 1_000, "x\n\n" * 999)) == 600


def test_what_would_take_too_long_to_compare_is_struck_and_added_whole() -> None:
    changes = told("的是" * 700, "是了" * 700)
    assert [change for ((change, _text),) in changes] == [ADDED, STRUCK]
