// Print what a board says, and what becomes of the connection.
import mqtt from "mqtt";

const BROKER = "mqtt://192.168.1.10:1883";
const TOPIC = "fieldmqtt/shed/#";
const QOS = 1;
const VERSION = 5; // 4 for MQTT 3.1.1
const ENCODING = "utf8"; // "hex" or "base64" for payloads that are no text

const client = mqtt.connect(BROKER, { protocolVersion: VERSION });

client.on("connect", () => {
  console.log("connect");
  client.subscribe(TOPIC, { qos: QOS });
});
client.on("message", (topic, payload, packet) => {
  console.log(topic, packet.qos, payload.toString(ENCODING));
});
client.on("offline", () => console.log("offline"));
client.on("reconnect", () => console.log("reconnect"));
client.on("error", (error) => console.error("error", error.message));
