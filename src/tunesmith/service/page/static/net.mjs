// Requests. Every URL is relative to the page's own, so that it works under any prefix.

class Problem extends Error {
  constructor(status, body) {
    super((body && body.detail) || `the server answered ${status}`);
    this.status = status;
    this.code = (body && body.code) || "";
  }
}

export const here = (name) => `page/studies/${encodeURIComponent(name)}`;

export function query(path, values) {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) {
    if (value === null || value === undefined || value === "") continue;
    for (const one of Array.isArray(value) ? value : [value]) search.append(name, one);
  }
  const text = search.toString();
  return text ? `${path}?${text}` : path;
}

// The answer, if it is a good one. Raises Problem, with what the service says.
export async function ask(path, options) {
  const answer = await fetch(path, { credentials: "same-origin", ...options });
  if (answer.ok) return answer;
  let body = null;
  try {
    body = await answer.json();
  } catch {
    /* no problem+json: a proxy's page */
  }
  throw new Problem(answer.status, body);
}

export async function get(path, signal) {
  return (await ask(path, { signal })).json();
}

export async function bytes(path, signal) {
  return (await ask(path, { signal })).arrayBuffer();
}

export async function send(method, path, body, headers = {}) {
  const answer = await ask(path, {
    method,
    body: JSON.stringify(body),
    headers: { "Content-Type": "application/json", ...headers },
  });
  return answer.status === 204 ? null : answer.json();
}

// Hints that a study has changed: a stream, or if there is none a look every few seconds. Nothing while nobody looks.
export class Live {
  constructor(name, cursor, changed, told) {
    this.name = name;
    this.changed = changed;
    this.told = told;
    this.cursor = cursor;
    this.over = false;
    this.visible = () => (document.hidden ? this.pause() : this.start());
    document.addEventListener("visibilitychange", this.visible);
    this.start();
  }

  start() {
    if (this.over || this.stream || this.timer) return;
    this.stream = new EventSource(query(`${here(this.name)}/hints`, { after: this.cursor }));
    this.stream.onopen = () => {
      clearTimeout(this.silent);
      this.silent = null;
      this.told("live");
    };
    this.stream.onmessage = (event) => {
      this.cursor = Number(event.data);
      this.hint();
    };
    this.stream.onerror = () => {
      // it ends every minute and comes back by itself; only what stays away is told
      if (this.stream && this.stream.readyState === EventSource.CLOSED) {
        this.stream = null;
        this.poll();
      } else if (!this.silent) this.silent = setTimeout(() => this.told("lost"), 4000);
    };
  }

  poll() {
    clearTimeout(this.timer);
    this.timer = setTimeout(async () => {
      try {
        await this.changed();
        this.told("every 3 s");
      } catch (error) {
        this.told("lost");
      }
      if (!this.over && !document.hidden) this.poll();
      else this.timer = null;
    }, 3000);
  }

  async hint() {
    // what is shown follows at once, then at most twice a second
    this.wanted = true;
    if (this.busy) return;
    this.busy = true;
    while (this.wanted && !this.over) {
      this.wanted = false;
      try {
        await this.changed();
      } catch {
        this.told("lost");
      }
      await new Promise((done) => setTimeout(done, 500));
    }
    this.busy = false;
  }

  pause() {
    if (this.stream) this.stream.close();
    clearTimeout(this.timer);
    clearTimeout(this.silent);
    this.stream = this.timer = this.silent = null;
  }

  close() {
    this.over = true;
    this.pause();
    document.removeEventListener("visibilitychange", this.visible);
  }
}
