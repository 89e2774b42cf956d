// A worker in JavaScript (Node 18 or newer): reports as it trains, and ends trials that are to stop.
//   TUNESMITH_URL=http://127.0.0.1:8765 TUNESMITH_TOKEN=ts_... node client.mjs STUDY
import { hostname } from "node:os";

const study = `${process.env.TUNESMITH_URL}/api/v1/studies/${process.argv[2]}`;
const session = `${hostname()}-${process.pid}`;

async function send(method, path, body) {
  for (let tries = 0; ; tries++) {
    try {
      const answer = await fetch(`${study}/${path}`, {
        method,
        headers: { Authorization: `Bearer ${process.env.TUNESMITH_TOKEN}`, "Content-Type": "application/json" },
        body: JSON.stringify(body),
      });
      if (answer.status < 500) return answer;
    } catch (error) {
      if (tries > 60) throw error; // the service is away: everything may be sent again
    }
    await new Promise((wake) => setTimeout(wake, Math.min(5000, 100 * 2 ** tries) * Math.random()));
  }
}

// From the first sign of life on, a worker that gives none for two minutes loses its trials to others.
const alive = setInterval(() => send("PUT", `sessions/${session}`, {}), 30000);

for (;;) {
  const asked = await send("POST", "ask", { session, wait: 20 });
  if (asked.status === 204) continue; // others have to end first
  if (asked.status === 410) break; // the study is over
  if (!asked.ok) throw new Error(await asked.text());
  const { number, attempt, config } = await asked.json();
  for (let step = 1; step <= 3; step++) {
    const loss = (config.x - 0.3) ** 2 + 1 / step; // the training
    const told = await send("POST", `trials/${number}/reports`, { attempt, points: [{ step, metrics: { loss } }] });
    if ((await told.json()).decision === "stop") break;
  }
  await send("POST", `trials/${number}/tell`, { attempt }); // the last report counts
}
clearInterval(alive);
