"""A process that ships to MQTT without an end, and says after each block how many lines are acknowledged.

mqtt_shipper.py <url> <lines of a block>
"""

from __future__ import annotations

import sys

from engine_blocks import FEED, block

from ssmd.contracts.shard import WHOLE
from ssmd.shipping.mqtt.transport import Mqtt, MqttConfig

URL, A_BLOCK = sys.argv[1:]

sink = Mqtt(MqttConfig(type="mqtt", url=URL), "prod", "conf").open(FEED, WHOLE, {})
done = sink.resume()
line = 0 if done is None else done.line
while True:
    sink.send(block(line, int(A_BLOCK)))
    line += int(A_BLOCK)
    print(line, flush=True)
