"""The dialect for any exchange that sends JSON over a WebSocket, as a feed's `dialect` section describes it."""
