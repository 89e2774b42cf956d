// What is done by hand. Each says what it will do before it does, and is written into the study's log with who did it.

import { empty, fill, h, say, show } from "./dom.mjs";
import { get, here, send } from "./net.mjs";

const post = (name, verb, body) => send("POST", `${here(name)}/${verb}`, body);

// A form that sends itself, and says what came of it where it stands.
function form(words, children, act, { main = "main", extra = null } = {}) {
  const told = h("p", { role: "status" }), button = h("button", { class: main }, words);
  const element = h("form", { onsubmit: async (event) => {
    event.preventDefault();
    button.disabled = true;
    told.className = "soft";
    told.textContent = "…";
    try { const done = await act(); told.textContent = done || ""; say(done || ""); } catch (error) {
      told.className = "wrong";
      told.textContent = error.message;
    } finally { button.disabled = false; }
  } }, children, told, h("div", { class: "buttons" }, extra, button));
  return element;
}

export function dialog(title, children) {
  const box = h("dialog", { "aria-label": title }, h("h2", {}, title), children);
  box.addEventListener("close", () => box.remove());
  box.addEventListener("click", (event) => { if (event.target === box) box.close(); });
  document.body.append(box);
  box.showModal();
  return box;
}

function ask(title, words, button, fields, act, done) {
  const inputs = fields.map((f) => ({ ...f, input: f.input || h("input", { type: f.type || "text", id: `ask-${f.name}`, required: f.required !== false, value: f.value ?? "", step: "any", autocomplete: "off" }) }));
  const cancel = h("button", { type: "button", onclick: () => box.close() }, "Cancel");
  const body = form(button, [words ? h("p", {}, words) : null, inputs.map((f) => h("div", { class: "field" }, h("label", { for: `ask-${f.name}` }, f.label), f.input, f.hint ? h("small", {}, f.hint) : null))], async () => {
    const made = await act(Object.fromEntries(inputs.map((f) => [f.name, f.input.value])));
    box.close();
    say(made.done);
    if (done) await done(made);
    return made.done;
  }, { extra: cancel });
  const box = dialog(title, body);
}

// -- a trial --------------------------------------------------------------------------------------

export function actions(t, state, context, done) {
  if (!context.may.has("control")) return null;
  const send = (verb, body) => post(state.study, `trials/${t.number}/${verb}`, body);
  const why = { name: "why", label: "Why", hint: "It stands in the log beside what you change." };
  const buttons = [];
  const button = (words, act, kind = "") => buttons.push(h("button", { type: "button", class: kind, onclick: act }, words));
  button("Note", () => ask("A note on this trial", "", "Note", [{ name: "note", label: "Note" }], (v) => send("annotate", v), done));
  button("Run again", () => ask("Run this config again", "A new trial with the same config is put into the queue.", "Queue it", [{ ...why, required: false }], (v) => send("again", v), done));
  if (t.may.includes("correct")) button("Correct", () => ask("Correct the result", "The old value stays in the log.", "Correct",
    [...t.objectives.map((o) => ({ name: `v:${o.metric}`, label: o.metric, type: "number", value: o.value })), why],
    (v) => send("correct", { why: v.why, values: Object.fromEntries(t.objectives.map((o) => [o.metric, Number(v[`v:${o.metric}`])])) }), done));
  if (t.may.includes("retract")) button(t.retracted ? "Count it again" : "Retract", () => ask(t.retracted ? "Let it count again" : "Take the result out of consideration",
    t.retracted ? "" : "It stays in the log and counts no longer: not as the best, not for the search, not against the limit.", t.retracted ? "Count it" : "Retract", [why], (v) => send("retract", { ...v, undo: t.retracted }), done));
  if (t.may.includes("cancel")) button("Cancel it", () => ask("Cancel this trial", t.state === "running" ? "Whoever runs it is not waited for; a result that comes later does not count." : "It will not be run.", "Cancel the trial", [], (v) => send("cancel", v), done), "danger");
  return [h("div", { class: "act", role: "group", "aria-label": "What to do with this trial" }, buttons)];
}

// -- the study ------------------------------------------------------------------------------------

export async function open(root, state, context) {
  if (!context.may.has("control")) { fill(root, h("h1", {}, "Steer"), empty("This token may look, and change nothing: that takes one of scope control.")); return {}; }
  let made = await get(`${here(state.study)}/form`);
  const control = h("section", {}), body = h("div", {});
  fill(root, h("h1", {}, "Steer"), control, body);

  function stops(now) {
    const stopped = made.ended !== null || now.state.word === "stopping";
    fill(control, h("p", {}, now.state.sentence), h("div", { class: "act" },
      h("button", { type: "button", class: "danger", disabled: stopped, onclick: () => ask("Stop the study", "No more trials begin. Those that run get their grace to end; nothing is lost, and it can go on later.", "Stop it", [], () => post(state.study, "stop", {}), again) }, "Stop"),
      h("button", { type: "button", disabled: !stopped, onclick: () => ask("Let it go on", made.ended ? `It had ended: ${made.ended}.` : "", "Go on", [], () => post(state.study, "go-on", {}), again) }, "Go on"),
      made.failed ? h("button", { type: "button", onclick: () => ask("Run the failed trials again", `The configs of ${made.failed} failed trials are put into the queue as new ones; the old ones no longer count.`, "Queue them", [], () => post(state.study, "retry-failed", {}), again) }, "Retry failed") : null));
  }

  async function again() {
    made = await get(`${here(state.study)}/form`);
    context.now = await get(`${here(state.study)}/live`);
    stops(context.now);
    draw();
  }

  function draw() { fill(body, config(made, state), limits(made, state, again), space(made, state, again)); }
  stops(context.now);
  draw();
  return { live: async (now) => { if (now.state.word !== context.word) { context.word = now.state.word; made = { ...made, ...(await get(`${here(state.study)}/form`)) }; stops(now); } } };
}

function config(made, state) {
  const fields = made.parameters.filter((p) => p.kind !== "fixed").map((p) => {
    const id = `config-${p.name}`, start = made.config || {};
    let input;
    if (p.kind === "choice") {
      input = h("select", { id }, h("option", { value: "" }, `default (${show(p.default)})`), p.values.map((v, k) => h("option", { value: String(k) }, show(v))));
    } else input = h("input", { id, type: "text", inputmode: "decimal", autocomplete: "off", placeholder: `default ${show(p.default)}` });
    const set = (values) => {
      const value = values[p.name];
      if (p.kind === "choice") input.value = value === undefined ? "" : String(p.values.findIndex((v) => JSON.stringify(v) === JSON.stringify(value)));
      else input.value = value === undefined ? "" : String(value);
    };
    set(start);
    const read = () => {
      if (input.value.trim() === "") return undefined;
      if (p.kind === "choice") return p.values[Number(input.value)];
      const value = Number(input.value);
      return Number.isFinite(value) ? value : input.value;
    };
    return { p, set, read, element: h("div", { class: "field" }, h("label", { for: id }, p.name), input, h("small", {}, p.range, p.when ? `; only where ${p.when}` : "")) };
  });
  const why = h("input", { id: "config-why", type: "text", autocomplete: "off" });
  const from = h("div", { class: "act" },
    made.config ? h("button", { type: "button", class: "quiet", onclick: () => fields.forEach((f) => f.set(made.config)) }, `From trial ${made.best}, the best`) : null,
    h("button", { type: "button", class: "quiet", onclick: () => fields.forEach((f) => f.set({})) }, "Defaults"));
  const inner = form("Put it into the queue", [from, h("div", { class: "fields" }, fields.map((f) => f.element)),
    made.relations.length ? h("p", { class: "soft" }, `It has to hold that ${made.relations.join(" and ")}.`) : null,
    h("div", { class: "field" }, h("label", { for: "config-why" }, "Why"), why, h("small", {}, "It stands with the trial."))], async () => {
    const config = {};
    for (const f of fields) { const value = f.read(); if (value !== undefined) config[f.p.name] = value; }
    const done = await post(state.study, "enqueue", { config, why: why.value });
    return done.done;
  });
  return h("section", { class: "panel" }, h("h2", {}, "Queue a config"), h("p", { class: "soft" }, "It is run before what the searcher suggests. An empty field takes its default."), fields.length ? inner : empty("Nothing in this space can be chosen."));
}

// A change is shown before it is made: what it would do, in sentences.
function changing(state, collect, digest, done, children, title, words) {
  const seen = h("div", { class: "preview", hidden: true, role: "status" });
  const make = h("button", { type: "button", class: "main", hidden: true, onclick: async () => {
    make.disabled = true;
    try { const made = await post(state.study, "edit", { ...collect(), digest: digest() }); make.hidden = true; fill(seen, made.done); say(made.done); await done(); } catch (error) { fill(seen, h("span", { class: "wrong" }, error.message)); } finally { make.disabled = false; }
  } }, "Change it");
  const inner = form("What would that do?", children, async () => {
    const would = await post(state.study, "preview", collect());
    seen.hidden = false;
    fill(seen, would.sentences.length ? h("ul", { class: "say" }, would.sentences.map((one) => h("li", {}, one))) : would.changes.length ? "Nothing that could be seen in trials." : "It is that already: nothing to change.");
    make.hidden = !would.changes.length;
    return "";
  }, { main: "" });
  inner.addEventListener("input", () => { make.hidden = true; seen.hidden = true; });
  return h("section", { class: "panel" }, h("h2", {}, title), h("p", { class: "soft" }, words), inner, seen, h("div", { class: "buttons" }, make));
}

function limits(made, state, done) {
  const inputs = made.limits.map((l) => ({ ...l, input: h("input", { id: `limit-${l.name}`, type: "text", value: l.value, autocomplete: "off", placeholder: "no limit" }) }));
  const field = (l) => h("div", { class: "field" }, h("label", { for: `limit-${l.name}` }, l.name.replaceAll("_", " ")), l.input, h("small", {}, l.doc));
  const collect = () => ({ limits: Object.fromEntries(inputs.filter((l) => l.input.value.trim() !== l.value).map((l) => [l.name, l.input.value])) });
  return changing(state, collect, () => made.digest, done, [h("div", { class: "fields" }, inputs.filter((l) => l.first).map(field)), h("details", {}, h("summary", {}, "More limits"), h("div", { class: "fields" }, inputs.filter((l) => !l.first).map(field)))],
    "Limits", "Durations as 90s, 10m or 2h, sizes as 4GiB; empty is no limit.");
}

function space(made, state, done) {
  const text = h("textarea", { id: "space", spellcheck: "false", rows: String(Math.min(24, made.space.split("\n").length + 1)), value: made.space });
  return changing(state, () => ({ space: text.value }), () => made.digest, done, [h("div", { class: "field" }, h("label", { for: "space" }, "As in a job file"), text)],
    "Space", "Ranges may widen or narrow, choices come and go; a new parameter needs a default. Trials that fall outside are kept, and marked.");
}

