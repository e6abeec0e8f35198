"""The transport `mqtt`: a broker of MQTT 5. It has no transactions, so consumers may get messages twice."""
