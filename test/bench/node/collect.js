// Node's ws: <form> <url> <file> <subscribe command>.
import fs from "node:fs";
import WebSocket from "ws";

function typical(url, path, command) {
  const file = fs.createWriteStream(path, { flags: "a" });
  const connection = new WebSocket(url);
  connection.on("open", () => connection.send(command));
  connection.on("message", (message) => {
    const line = { ts: new Date().toISOString(), feed: "bench", data: JSON.parse(message) };
    file.write(JSON.stringify(line) + "\n");
  });
}

function tuned(url, path, command) {
  const file = fs.openSync(path, "a");
  const end = Buffer.from("}\n");
  let parts = [];
  const flush = () => {
    const prefix = Buffer.from(`{"ts":"${new Date().toISOString()}","feed":"bench","data":`);
    const lines = [];
    for (const message of parts) {
      JSON.parse(message); // The check; what is written are the bytes.
      const newline = message[message.length - 1] === 10;
      lines.push(prefix, newline ? message.subarray(0, -1) : message, end);
    }
    parts = [];
    const data = Buffer.concat(lines);
    for (let done = 0; done < data.length; ) done += fs.writeSync(file, data, done);
  };
  const connection = new WebSocket(url, { perMessageDeflate: false, skipUTF8Validation: true });
  connection.on("open", () => connection.send(command));
  connection.on("message", (message) => {
    if (parts.length === 0) setImmediate(flush); // After all messages that have already arrived.
    parts.push(message);
  });
}

const [form, ...rest] = process.argv.slice(2);
({ typical, tuned })[form](...rest);
