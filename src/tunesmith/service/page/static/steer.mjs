// What is done by hand. Each says what it will do before it does, and is written into the study's log with who did it.

import { dialog, empty, fill, h, say } from "./dom.mjs";
import { get, here } from "./net.mjs";
import { config, form, limits, post, space, tags } from "./forms.mjs";

function ask(title, words, button, fields, act, done) {
  const inputs = fields.map((f) => ({
    ...f,
    input:
      f.input ||
      h("input", {
        type: f.type || "text",
        id: `ask-${f.name}`,
        required: f.required !== false,
        value: f.value ?? "",
        step: "any",
        autocomplete: "off",
      }),
  }));
  const cancel = h("button", { type: "button", onclick: () => box.close() }, "Cancel");
  const body = form(
    button,
    [
      words ? h("p", {}, words) : null,
      inputs.map((f) =>
        h(
          "div",
          { class: "field" },
          h("label", { for: `ask-${f.name}` }, f.label),
          f.input,
          f.hint ? h("small", {}, f.hint) : null,
        ),
      ),
    ],
    async () => {
      const made = await act(Object.fromEntries(inputs.map((f) => [f.name, f.input.value])));
      box.close();
      say(made.done);
      if (done) await done(made);
      return made.done;
    },
    { extra: cancel },
  );
  const box = dialog(title, body);
}

// -- a trial --------------------------------------------------------------------------------------

export function actions(t, state, context, done) {
  if (!context.may.has("work")) return null;
  const control = context.may.has("control"),
    send = (verb, body) => post(state.study, `trials/${t.number}/${verb}`, body);
  const why = { name: "why", label: "Why", hint: "It stands in the log beside what you change." };
  const buttons = [];
  const button = (words, act, kind = "") =>
    buttons.push(h("button", { type: "button", class: kind, onclick: act }, words));
  button("Note", () =>
    ask("A note on this trial", "", "Note", [{ name: "note", label: "Note" }], (v) => send("annotate", v), done),
  );
  button("Run again", () =>
    ask(
      "Run this config again",
      "A new trial with the same config is put into the queue.",
      "Queue it",
      [{ ...why, required: false }],
      (v) => send("again", v),
      done,
    ),
  );
  if (control && t.may.includes("correct"))
    button("Correct", () =>
      ask(
        "Correct the result",
        "The old value stays in the log.",
        "Correct",
        [...t.objectives.map((o) => ({ name: `v:${o.metric}`, label: o.metric, type: "number", value: o.value })), why],
        (v) =>
          send("correct", {
            why: v.why,
            values: Object.fromEntries(t.objectives.map((o) => [o.metric, Number(v[`v:${o.metric}`])])),
          }),
        done,
      ),
    );
  if (control && t.may.includes("retract"))
    button(t.retracted ? "Count it again" : "Retract", () =>
      ask(
        t.retracted ? "Let it count again" : "Take the result out of consideration",
        t.retracted
          ? ""
          : "It stays in the log and counts no longer: not as the best, not for the search, not against the limit.",
        t.retracted ? "Count it" : "Retract",
        [why],
        (v) => send("retract", { ...v, undo: t.retracted }),
        done,
      ),
    );
  if (control && t.may.includes("cancel"))
    button(
      "Cancel it",
      () =>
        ask(
          "Cancel this trial",
          t.state === "running"
            ? "Whoever runs it is not waited for; a result that comes later does not count."
            : "It will not be run.",
          "Cancel the trial",
          [],
          (v) => send("cancel", v),
          done,
        ),
      "danger",
    );
  return [h("div", { class: "act", role: "group", "aria-label": "What to do with this trial" }, buttons)];
}

// -- the study ------------------------------------------------------------------------------------

export async function open(root, state, context) {
  if (!context.may.has("work")) {
    fill(
      root,
      h("h1", {}, "Steer"),
      empty("This token may look, and change nothing: that takes one of scope work or control."),
    );
    return {};
  }
  const steers = context.may.has("control");
  let made = await get(`${here(state.study)}/form`);
  const control = h("section", {}),
    body = h("div", {});
  fill(root, h("h1", {}, "Steer"), control, body);

  function stops(now) {
    const stopped = made.ended !== null || now.state.word === "stopping";
    fill(
      control,
      h("p", {}, now.state.sentence),
      !steers
        ? h(
            "p",
            { class: "soft" },
            "This token may queue configs; to stop the study or change it takes one of scope control.",
          )
        : h(
            "div",
            { class: "act" },
            h(
              "button",
              {
                type: "button",
                class: "danger",
                disabled: stopped,
                onclick: () =>
                  ask(
                    "Stop the study",
                    "No more trials begin. Those that run get their grace to end; nothing is lost, and it can go on later.",
                    "Stop it",
                    [],
                    () => post(state.study, "stop", {}),
                    again,
                  ),
              },
              "Stop",
            ),
            h(
              "button",
              {
                type: "button",
                disabled: !stopped,
                onclick: () =>
                  ask(
                    "Let it go on",
                    made.ended ? `It had ended: ${made.ended}.` : "",
                    "Go on",
                    [],
                    () => post(state.study, "go-on", {}),
                    again,
                  ),
              },
              "Go on",
            ),
            made.failed
              ? h(
                  "button",
                  {
                    type: "button",
                    onclick: () =>
                      ask(
                        "Run the failed trials again",
                        `The configs of ${made.failed} failed trials are put into the queue as new ones; the old ones no longer count.`,
                        "Queue them",
                        [],
                        () => post(state.study, "retry-failed", {}),
                        again,
                      ),
                  },
                  "Retry failed",
                )
              : null,
          ),
    );
  }

  async function again() {
    made = await get(`${here(state.study)}/form`);
    context.now = await get(`${here(state.study)}/live`);
    stops(context.now);
    draw();
  }

  function draw() {
    fill(
      body,
      config(made, state),
      steers
        ? [limits(made, state, again), space(made, state, again), tags(context.now, state, again)]
        : null,
    );
  }
  stops(context.now);
  draw();
  return {
    live: async (now) => {
      if (now.state.word !== context.word) {
        context.word = now.state.word;
        made = { ...made, ...(await get(`${here(state.study)}/form`)) };
        stops(now);
      }
    },
  };
}
