// Send a board its commands.
import mqtt from "mqtt";

const BROKER = "mqtt://192.168.1.10:1883";
const TOPIC = "fieldmqtt/shed/command";
const QOS = 1;
const VERSION = 5; // 4 for MQTT 3.1.1
const MESSAGES = ['{"id": 1, "command": "interval", "value": 5}'];

const client = await mqtt.connectAsync(BROKER, { protocolVersion: VERSION });
for (const message of MESSAGES) {
  await client.publishAsync(TOPIC, message, { qos: QOS });
}
await client.endAsync();
