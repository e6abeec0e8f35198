"""The check of what is received against a schema, where an environment asks for it."""

from __future__ import annotations

from ssmd.contracts.exchange import Exchange, MessageReader
from ssmd.contracts.observer import Observer
from ssmd.metadata.deployment import Deployment
from ssmd.runtime.status import Status
from ssmd.wiring.catalogs import dialect_of

__all__ = ["schema_check", "schema_observer"]


def schema_observer(deployment: Deployment, exchange: Exchange, status: Status) -> Observer | None:
    """Return the check of a run's messages; None when it is off. Raises ConfigError."""
    environment, definition = deployment.environment, deployment.definition
    if definition is None or environment.schema is None:
        return None
    reader = dialect_of(deployment).reader()
    is_sample = environment.schema_check == "sample"
    content, name = definition.content, definition.name
    return schema_check(content, name, environment.schema, exchange, reader, status, is_sample=is_sample)


def schema_check(
    content: bytes,
    name: str,
    reference: str,
    exchange: Exchange,
    reader: MessageReader,
    status: Status,
    *,
    is_sample: bool = False,
) -> Observer:
    """Return the check of messages against the definition in a file of this name and content.

    `reference`: what the environment calls it. `is_sample`: check only some of them. Where all are checked and the
    dialect shares its decoding, each message is decoded once for both. Raises ConfigError.
    """
    # Imported here: only such runs need jsonschema-rs.
    from ssmd.observing.schema import SchemaCheck
    from ssmd.runtime.schema_counts import SchemaCounts
    from ssmd.runtime.threads import LARGE_BYTES
    from ssmd.schema.budget import Budget
    from ssmd.schema.check import make_checker
    from ssmd.schema.shared import SharedDecoding

    checker = make_checker(content, name, lambda payload: reader.read([payload])[0][0])
    checker.limit(Budget())
    status.schema = SchemaCounts(reference, is_sample=is_sample, types=checker.types)
    shared, heads = None, exchange.heads
    if heads is not None and not is_sample:
        compiled = checker.compiled_for(heads.type)
        if compiled is not None:
            shared = SharedDecoding(compiled, heads.type, LARGE_BYTES)
            heads.decode = shared.decode
    return SchemaCheck(checker, status.schema, shared, exchange.expects_text, exchange.hidden)
