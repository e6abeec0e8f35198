"""The REST interface of the simulated Kalshi: the parts of https://docs.kalshi.com/openapi.yaml about markets."""
