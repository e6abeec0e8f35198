"""The settings of a stream."""

import pytest

from ssmd.errors import EngineError
from ssmd.shipping.nats.messages import Limit
from ssmd.shipping.nats.settings import Settings

PREFIX = "prod.kalshi"
POSITION = f"{PREFIX}.position.kalshi"
RIGHT = {
    "name": "S", "subjects": [f"{PREFIX}.>"], "retention": "limits", "max_msgs": -1, "max_bytes": -1, "max_age": 0,
    "max_msgs_per_subject": -1, "max_msg_size": -1, "discard": "new", "storage": "file", "num_replicas": 1,
    "allow_atomic": True,
}  # fmt: skip
MIB = 1024 * 1024


def settings(cluster: str = "", **config: object) -> Settings:
    info = {"config": RIGHT | config, "state": {"last_seq": 7}, "cluster": {"name": cluster, "leader": "a"}}
    return Settings("S", info)


def warnings(limit: int = MIB, cluster: str = "", **config: object) -> list[str]:
    return list(settings(cluster, **config).warnings(Limit(limit, "`max_payload`")))


def test_what_is_right():
    settings().check(PREFIX, POSITION)
    assert warnings() == []
    assert settings().last_sequence == 7
    assert settings().is_atomic
    assert warnings(discard="old") == []  # Without a limit nothing is dropped.
    assert warnings(discard="new", max_msgs=9) == []
    assert warnings(max_age=8 * 24 * 3600 * 10**9) == []
    assert warnings(cluster="c", num_replicas=3) == []


@pytest.mark.parametrize(
    "subjects",
    [
        [">"],
        ["prod.>"],
        ["*.kalshi.>"],
        ["prod.*.>"],
        [f"{PREFIX}.json.>", f"{PREFIX}.control.>", f"{PREFIX}.private.>", POSITION],
        [f"{PREFIX}.json.>", f"{PREFIX}.control.>", f"{PREFIX}.private.>", f"{PREFIX}.position.*"],
        [f"{PREFIX}.*.>"],
    ],
)
def test_subjects_that_cover_all(subjects):
    settings(subjects=subjects).check(PREFIX, POSITION)


@pytest.mark.parametrize(
    ("subjects", "missing"),
    [
        ([], f"{PREFIX}.json.>, {PREFIX}.control.>, {PREFIX}.private.>, {POSITION}"),
        ([f"{PREFIX}"], f"{PREFIX}.json.>, {PREFIX}.control.>, {PREFIX}.private.>, {POSITION}"),
        ([f"{PREFIX}.json.>", POSITION], f"{PREFIX}.control.>, {PREFIX}.private.>"),
        ([f"{PREFIX}.json.*", f"{PREFIX}.control.>", f"{PREFIX}.private.>", POSITION], f"{PREFIX}.json.>"),
        ([f"{PREFIX}.json.>", f"{PREFIX}.control.>", f"{PREFIX}.private.>", f"{POSITION}.*"], POSITION),
        ([f"{PREFIX}.*", f"{PREFIX}.*.*"], f"{PREFIX}.json.>, {PREFIX}.control.>, {PREFIX}.private.>"),
        ([f"{POSITION}.>", f"{PREFIX}.json.>", f"{PREFIX}.control.>", f"{PREFIX}.private.>"], POSITION),
    ],
)
def test_subjects_that_are_missing_are_named(subjects, missing):
    with pytest.raises(EngineError) as wrong:
        settings(subjects=subjects).check(PREFIX, POSITION)
    assert str(wrong.value) == (
        f"the stream S does not have the subjects {missing}; give it `{PREFIX}.>`, or change transport.subject_prefix"
    )


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"retention": "interest"}, "has the retention `interest`"),
        ({"retention": "workqueue"}, "has the retention `workqueue`"),
        ({"mirror": {"name": "T"}}, "is a mirror or sealed"),
        ({"sealed": True}, "is a mirror or sealed"),
        ({"no_ack": True}, "acknowledges nothing"),
        ({"subject_transform": {"src": "a", "dest": "b"}}, "changes subjects"),
    ],
)
def test_a_stream_to_which_nothing_can_be_shipped(config, expected):
    with pytest.raises(EngineError, match=f"the stream S {expected}"):
        settings(**config).check(PREFIX, POSITION)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"allow_atomic": False}, "without `allow_atomic` messages are sent one by one, which is slower"),
        ({"discard": "old", "max_msgs": 9}, "when it has `max_msgs`, it drops the oldest messages"),
        ({"discard": "old", "max_msgs": 9, "max_bytes": 9}, "when it has `max_msgs` or `max_bytes`, it drops"),
        ({"max_msgs_per_subject": 5}, "it keeps 5 messages of each subject"),
        ({"max_age": 3600 * 10**9}, "it removes messages after 1 hours (`max_age`)"),
        ({"storage": "memory"}, "it is in memory, and lost when the server stops"),
        ({"cluster": "c"}, "it has 1 replicas in a cluster"),
        ({"limit": 2000}, "a message may have 2000 bytes at most, and some may be larger; raise `max_payload`"),
    ],
)
def test_a_setting_that_is_worth_a_warning(config, expected):
    [warning] = warnings(**config)
    assert warning.startswith(f"the stream S: {expected}")


def test_the_smaller_limit_counts():
    assert settings().limit(MIB) == Limit(MIB, "`max_payload` in the configuration of the NATS server")
    assert settings(max_msg_size=99).limit(MIB) == Limit(99, "`max_msg_size` of the stream S")
    assert settings(max_msg_size=2 * MIB).limit(MIB).bytes == MIB


def test_a_server_that_does_not_know_a_setting():
    old = Settings("S", {"config": {"subjects": [">"]}})
    old.check(PREFIX, POSITION)
    assert not old.is_atomic
    assert old.max_age_seconds == 0
    assert len(old.warnings(old.limit(MIB))) == 1
