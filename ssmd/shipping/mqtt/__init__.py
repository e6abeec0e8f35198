"""MQTT: at least once, because the protocol knows no transactions. Consumers may get messages twice."""
