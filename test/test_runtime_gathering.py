"""What is asked for within a minute becomes one entry for each action, and nothing is left out."""

from ssmd.contracts.events import Asked
from ssmd.contracts.writer import Note
from ssmd.runtime.gathering import MINUTE_NS, Gathering

NOON = 29_833_333 * MINUTE_NS


def shown(notes) -> list[tuple[str, str, object, int]]:
    fields = [note.fields for note in notes]
    return [(one["channel"], one["action"], one["markets"], len(one["commands"])) for one in fields]


def test_a_subscription_is_noted_at_once_with_all_its_commands():
    gathering = Gathering()
    for names in (["A", "B"], ["C"]):
        assert list(gathering.add(Asked(1, "trade", "subscribe", names, [{"id": 1}]), NOON)) == []
    assert shown(gathering.due(NOON)) == [("trade", "subscribe", ["A", "B", "C"], 2)]
    assert list(gathering.due(NOON + 10 * MINUTE_NS)) == []


def test_changes_of_a_minute_are_one_entry_when_it_is_over():
    gathering = Gathering()
    for second in range(59):
        added = Asked(1, "trade", "add", [f"M{second}"], [{"id": second}])
        assert list(gathering.add(added, NOON + second * 10**9)) == []
        assert list(gathering.due(NOON + second * 10**9)) == []
    [(channel, action, markets, commands)] = shown(gathering.due(NOON + MINUTE_NS))
    assert (channel, action, commands) == ("trade", "add", 59)
    assert markets == [f"M{second}" for second in range(59)]


def test_another_action_about_a_market_ends_the_one_before_so_that_their_order_is_kept():
    gathering = Gathering()
    notes: list[Note] = []
    for action, name in [("add", "A"), ("remove", "A"), ("add", "A")]:
        notes += gathering.add(Asked(1, "trade", action, [name], []), NOON)
    notes += gathering.due(NOON, end=True)
    assert [action for _, action, _, _ in shown(notes)] == ["add", "remove", "add"]
    assert {note.ts_ns for note in notes} == {NOON}


def test_markets_that_come_and_go_in_a_minute_are_one_entry_for_each_action():
    gathering = Gathering()
    for second in range(0, 60, 2):
        for action, name in [("add", f"NEW-{second}"), ("remove", f"OLD-{second}")]:
            assert list(gathering.add(Asked(1, "trade", action, [name], []), NOON + second * 10**9)) == []
    notes = list(gathering.add(Asked(1, "trade", "remove", ["NEW-0"], []), NOON + 59 * 10**9))
    notes += gathering.due(NOON, end=True)
    counts = [(action, len(list(names))) for _, action, names, _ in shown(notes) if isinstance(names, list)]
    assert counts == [("add", 30), ("remove", 31)]


def test_a_channel_that_is_closed_ends_what_was_gathered_of_it():
    gathering = Gathering()
    notes: list[Note] = []
    for action, names in [("add", ["A"]), ("remove", None), ("subscribe", ["B"])]:
        notes += gathering.add(Asked(1, "trade", action, names, []), NOON)
    notes += gathering.due(NOON)
    assert shown(notes) == [("trade", "add", ["A"], 0), ("trade", "remove", "all", 0), ("trade", "subscribe", ["B"], 0)]


def test_channels_and_subscriptions_are_gathered_apart():
    gathering = Gathering()
    for subscription, channel in [(1, "trade"), (2, "trade"), (1, "ticker")]:
        assert list(gathering.add(Asked(subscription, channel, "add", ["A"], []), NOON)) == []
    assert len(list(gathering.due(NOON, end=True))) == 3


def test_after_all_markets_were_asked_for_an_addition_changes_nothing():
    gathering = Gathering()
    for markets in (None, ["A"]):
        list(gathering.add(Asked(1, "trade", "subscribe", markets, []), NOON))
    assert shown(gathering.due(NOON)) == [("trade", "subscribe", "all", 0)]
