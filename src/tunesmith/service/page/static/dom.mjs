// Elements, numbers and times as the page writes them. What comes from a study is only ever a text node.

export function h(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "style") Object.assign(element.style, value);
    else if (name === "value") element.value = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  add(element, children);
  return element;
}

export function add(element, children) {
  for (const child of children.flat(3)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return element;
}

export function fill(element, ...children) {
  element.replaceChildren();
  return add(element, children);
}

// HTML that our own server wrote and escaped (the report's sections, figures): scripts and inline styles in it do nothing.
export function drawn(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  return template.content;
}

export function svg(tag, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes || {})) element.setAttribute(name, value);
  add(element, children);
  return element;
}

const raised = { "-": "⁻", 0: "⁰", 1: "¹", 2: "²", 3: "³", 4: "⁴", 5: "⁵", 6: "⁶", 7: "⁷", 8: "⁸", 9: "⁹" };

export function number(value, digits = 5) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (Number.isInteger(value) && Math.abs(value) < 1e7) return value.toLocaleString("en");
  const short = Number(value.toPrecision(digits));
  const size = Math.abs(short);
  if (short !== 0 && (size < 1e-3 || size >= 1e6)) {
    const [mantissa, exponent] = short.toExponential().split("e");
    const power = "10" + String(Number(exponent)).replace(/[-\d]/g, (c) => raised[c]);
    return mantissa === "1" ? power : `${mantissa}·${power}`;
  }
  return String(short);
}

export function show(value, digits = 5) {
  if (value === null || value === undefined) return "–";
  if (typeof value === "number") return number(value, digits);
  if (typeof value === "boolean") return value ? "yes" : "no";
  return typeof value === "string" ? value : JSON.stringify(value);
}

export function duration(seconds) {
  if (seconds === null || seconds === undefined || Number.isNaN(seconds)) return "–";
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 60) return `${number(seconds, 3)} s`;
  const whole = Math.round(seconds),
    minutes = Math.floor(whole / 60);
  if (minutes < 60) return whole % 60 ? `${minutes} min ${whole % 60} s` : `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
  return `${Math.floor(hours / 24)} days`;
}

export function ago(at) {
  const seconds = Math.max(0, Date.now() / 1000 - at);
  if (seconds < 5) return "just now";
  if (seconds < 60) return `${Math.floor(seconds)} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 172800) return `${Math.floor(seconds / 3600)} h ago`;
  return new Date(at * 1000).toLocaleDateString("en", { day: "numeric", month: "short", year: "numeric" });
}

export function when(at) {
  const parts = {
    day: "numeric",
    month: "short",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
    hour12: false,
  };
  return new Date(at * 1000).toLocaleString("en", parts);
}

const shapes = {
  completed: "●",
  stopped: "◼",
  failed: "✕",
  running: "▶",
  waiting: "○",
  paused: "❙❙",
  cancelled: "–",
  ended: "●",
  idle: "○",
  stopping: "◼",
  new: "○",
  queued: "○",
};

// A state is a shape, a colour and a word.
export function state(word) {
  return h("span", { class: `state ${word}` }, h("i", { "aria-hidden": "true" }, shapes[word] || "·"), word);
}

export function empty(...words) {
  return h("p", { class: "empty" }, ...words);
}

// A table, which scrolls by itself where it is wide: `heads` are words or cells, `rows` its rows.
export function table(heads, rows) {
  const cells = heads.map((one) => (one instanceof Node ? one : h("th", { scope: "col" }, one)));
  return h(
    "div",
    { class: "scroll", tabindex: "0" },
    h("table", {}, h("thead", {}, h("tr", {}, cells)), h("tbody", {}, rows)),
  );
}

// A dialog, which is open, and gone once it is closed.
export function dialog(title, children) {
  const box = h("dialog", { "aria-label": title }, h("h2", {}, title), children);
  box.addEventListener("close", () => box.remove());
  box.addEventListener("click", (event) => {
    if (event.target === box) box.close();
  });
  document.body.append(box);
  box.showModal();
  return box;
}

export function copyable(what, words) {
  const pre = h("pre", { tabindex: "0" }, words);
  return h(
    "div",
    { class: "copy" },
    h("span", {}, what),
    pre,
    h("button", { type: "button", "data-copy": true }, "copy"),
  );
}

export function say(words) {
  document.getElementById("said").textContent = words;
}
