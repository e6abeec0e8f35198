"""The shape of messages: which fields the messages of each type have, and of which kind their values are."""
