// Forms of a study: a config for the queue, its limits, its space. What a change would do is shown before it is made.

import { empty, fill, h, say, show } from "./dom.mjs";
import { here, send } from "./net.mjs";

export const post = (name, verb, body) => send("POST", `${here(name)}/${verb}`, body);

// A form that sends itself, and says what came of it where it stands.
export function form(words, children, act, { main = "main", extra = null } = {}) {
  const told = h("p", { role: "status" }),
    button = h("button", { class: main }, words);
  const element = h(
    "form",
    {
      onsubmit: async (event) => {
        event.preventDefault();
        button.disabled = true;
        told.className = "soft";
        told.textContent = "…";
        try {
          const done = await act();
          told.textContent = done || "";
          say(done || "");
        } catch (error) {
          told.className = "wrong";
          told.textContent = error.message;
        } finally {
          button.disabled = false;
        }
      },
    },
    children,
    told,
    h("div", { class: "buttons" }, extra, button),
  );
  return element;
}

export function config(made, state) {
  const fields = made.parameters
    .filter((p) => p.kind !== "fixed")
    .map((p) => {
      const id = `config-${p.name}`,
        start = made.config || {};
      let input;
      if (p.kind === "choice") {
        input = h(
          "select",
          { id },
          h("option", { value: "" }, `default (${show(p.default)})`),
          p.values.map((v, k) => h("option", { value: String(k) }, show(v))),
        );
      } else
        input = h("input", {
          id,
          type: "text",
          inputmode: "decimal",
          autocomplete: "off",
          placeholder: `default ${show(p.default)}`,
        });
      const set = (values) => {
        const value = values[p.name];
        if (p.kind === "choice")
          input.value =
            value === undefined ? "" : String(p.values.findIndex((v) => JSON.stringify(v) === JSON.stringify(value)));
        else input.value = value === undefined ? "" : String(value);
      };
      set(start);
      const read = () => {
        if (input.value.trim() === "") return undefined;
        if (p.kind === "choice") return p.values[Number(input.value)];
        const value = Number(input.value);
        return Number.isFinite(value) ? value : input.value;
      };
      return {
        p,
        set,
        read,
        element: h(
          "div",
          { class: "field" },
          h("label", { for: id }, p.name),
          input,
          h("small", {}, p.range, p.when ? `; only where ${p.when}` : ""),
        ),
      };
    });
  const why = h("input", { id: "config-why", type: "text", autocomplete: "off" });
  const from = h(
    "div",
    { class: "act" },
    made.config
      ? h(
          "button",
          { type: "button", class: "quiet", onclick: () => fields.forEach((f) => f.set(made.config)) },
          `From trial ${made.best}, the best`,
        )
      : null,
    h("button", { type: "button", class: "quiet", onclick: () => fields.forEach((f) => f.set({})) }, "Defaults"),
  );
  const inner = form(
    "Put it into the queue",
    [
      from,
      h(
        "div",
        { class: "fields" },
        fields.map((f) => f.element),
      ),
      made.relations.length ? h("p", { class: "soft" }, `It has to hold that ${made.relations.join(" and ")}.`) : null,
      h(
        "div",
        { class: "field" },
        h("label", { for: "config-why" }, "Why"),
        why,
        h("small", {}, "It stands with the trial."),
      ),
    ],
    async () => {
      const config = {};
      for (const f of fields) {
        const value = f.read();
        if (value !== undefined) config[f.p.name] = value;
      }
      const done = await post(state.study, "enqueue", { config, why: why.value });
      return done.done;
    },
  );
  return h(
    "section",
    { class: "panel" },
    h("h2", {}, "Queue a config"),
    h("p", { class: "soft" }, "It is run before what the searcher suggests. An empty field takes its default."),
    fields.length ? inner : empty("Nothing in this space can be chosen."),
  );
}

// A change is shown before it is made: what it would do, in sentences.
function changing(state, collect, digest, done, children, title, words) {
  const seen = h("div", { class: "preview", hidden: true, role: "status" });
  const make = h(
    "button",
    {
      type: "button",
      class: "main",
      hidden: true,
      onclick: async () => {
        make.disabled = true;
        try {
          const made = await post(state.study, "edit", { ...collect(), digest: digest() });
          make.hidden = true;
          fill(seen, made.done);
          say(made.done);
          await done();
        } catch (error) {
          fill(seen, h("span", { class: "wrong" }, error.message));
        } finally {
          make.disabled = false;
        }
      },
    },
    "Change it",
  );
  const inner = form(
    "What would that do?",
    children,
    async () => {
      const would = await post(state.study, "preview", collect());
      seen.hidden = false;
      fill(
        seen,
        would.sentences.length
          ? h(
              "ul",
              { class: "say" },
              would.sentences.map((one) => h("li", {}, one)),
            )
          : would.changes.length
            ? "Nothing that could be seen in trials."
            : "It is that already: nothing to change.",
      );
      make.hidden = !would.changes.length;
      return "";
    },
    { main: "" },
  );
  inner.addEventListener("input", () => {
    make.hidden = true;
    seen.hidden = true;
  });
  return h(
    "section",
    { class: "panel" },
    h("h2", {}, title),
    h("p", { class: "soft" }, words),
    inner,
    seen,
    h("div", { class: "buttons" }, make),
  );
}

export function limits(made, state, done) {
  const inputs = made.limits.map((l) => ({
    ...l,
    input: h("input", {
      id: `limit-${l.name}`,
      type: "text",
      value: l.value,
      autocomplete: "off",
      placeholder: "no limit",
    }),
  }));
  const field = (l) =>
    h(
      "div",
      { class: "field" },
      h("label", { for: `limit-${l.name}` }, l.name.replaceAll("_", " ")),
      l.input,
      h("small", {}, l.doc),
    );
  const collect = () => ({
    limits: Object.fromEntries(
      inputs.filter((l) => l.input.value.trim() !== l.value).map((l) => [l.name, l.input.value]),
    ),
  });
  return changing(
    state,
    collect,
    () => made.digest,
    done,
    [
      h("div", { class: "fields" }, inputs.filter((l) => l.first).map(field)),
      h(
        "details",
        {},
        h("summary", {}, "More limits"),
        h("div", { class: "fields" }, inputs.filter((l) => !l.first).map(field)),
      ),
    ],
    "Limits",
    "Durations as 90s, 10m or 2h, sizes as 4GiB; empty is no limit.",
  );
}

export function space(made, state, done) {
  const text = h("textarea", {
    id: "space",
    spellcheck: "false",
    rows: String(Math.min(24, made.space.split("\n").length + 1)),
    value: made.space,
  });
  return changing(
    state,
    () => ({ space: text.value }),
    () => made.digest,
    done,
    [h("div", { class: "field" }, h("label", { for: "space" }, "As in a job file"), text)],
    "Space",
    "Ranges may widen or narrow, choices come and go; a new parameter needs a default. Trials that fall outside are kept, and marked.",
  );
}

export function tags(now, state, done) {
  const field = h("input", { id: "tags", type: "text", autocomplete: "off", value: now.tags.join(", ") });
  const act = async () => {
    const wanted = field.value.split(",").map((one) => one.trim()).filter(Boolean);
    const made = await post(state.study, "tag", {
      add: wanted,
      remove: now.tags.filter((one) => !wanted.includes(one)),
    });
    await done();
    return made.done;
  };
  return h(
    "section",
    { class: "panel" },
    h("h2", {}, "Tags"),
    h("p", { class: "soft" }, "Words by which the list of studies is filtered, with commas between."),
    form("Keep these tags", [h("div", { class: "field" }, h("label", { for: "tags" }, "Tags"), field)], act, { main: "" }),
  );
}
