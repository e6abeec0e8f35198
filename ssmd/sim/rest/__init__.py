"""The REST interface of the simulated Kalshi: what https://docs.kalshi.com/openapi.yaml has about markets."""
