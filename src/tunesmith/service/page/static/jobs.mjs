// Jobs that were handed over: how each stands, its log as it grows, what it has left; and a form that hands a table over.

import { ago, duration, empty, fill, h, say, state as stateOf, table, when } from "./dom.mjs";
import { ask, get, send } from "./net.mjs";
import { go, link } from "./address.mjs";
import { form } from "./forms.mjs";

const over = new Set(["ended", "failed", "cancelled"]);
// So much of a log is kept on screen (characters), and of a table's head is read (bytes).
const most = 200_000,
  head = 1 << 16;

export async function open(root, state, context) {
  const list = h("div", { class: "jobs" }),
    detail = h("section", { class: "panel", hidden: true, "aria-label": "A job" }),
    submits = context.may.has("submit");
  let rows = [],
    closed = false,
    timer = null,
    shown = null;
  fill(
    root,
    h("div", { class: "heading" }, h("h1", {}, "Jobs")),
    h(
      "p",
      { class: "soft" },
      "Programs that this service runs. One with its code is handed over by ",
      h("code", {}, "tunesmith submit job.yaml"),
      submits ? "; a table or images can be handed over below." : ".",
    ),
    list,
    detail,
    submits ? recipe((job) => go({ job: job.id })) : null,
  );

  async function load() {
    rows = (await get("api/v1/jobs")).jobs;
    draw();
    const now = shown && rows.find((one) => one.id === shown.id);
    if (now && (now.state !== shown.job.state || now.why !== shown.job.why)) shown.stands(now);
  }

  function draw() {
    const focus = document.activeElement && document.activeElement.dataset.job;
    if (!rows.length) {
      fill(list, empty("No job has been handed over yet."));
      return;
    }
    fill(list, table(["state", "job", "of", "handed over", "took", "why"], rows.map(row)));
    if (focus) list.querySelector(`[data-job="${focus}"]`)?.focus();
  }

  function row(job) {
    const took = job.started_at ? (job.ended_at || Date.now() / 1000) - job.started_at : null;
    return h(
      "tr",
      { class: shown && shown.id === job.id ? "chosen" : "" },
      h("td", {}, stateOf(job.state)),
      h("th", { scope: "row" }, h("a", { href: link({ view: "jobs", job: job.id }), "data-job": job.id }, job.study)),
      h("td", {}, job.by),
      h("td", { title: when(job.submitted_at) }, ago(job.submitted_at)),
      h("td", {}, duration(took)),
      h("td", { class: "soft" }, job.why),
    );
  }

  function show(id) {
    if (shown) shown.close();
    shown = null;
    detail.hidden = !id;
    if (id) shown = one(detail, id, submits, load);
    draw();
  }

  async function again() {
    if (!document.hidden) await load().catch(() => {});
    if (!closed) timer = setTimeout(again, rows.some((job) => !over.has(job.state)) ? 2000 : 8000);
  }
  await load();
  show(state.job);
  timer = setTimeout(again, 2000);
  return {
    update: (next) => show(next.job),
    close: () => {
      closed = true;
      clearTimeout(timer);
      if (shown) shown.close();
    },
  };
}

// One job: how it stands, its log as it grows, its files once it is over.
function one(root, id, submits, changed) {
  const path = `api/v1/jobs/${encodeURIComponent(id)}`,
    stopping = new AbortController(),
    title = h("h2", {}, "…"),
    sentence = h("p", {}),
    act = h("div", { class: "act" }),
    told = h("p", { role: "status" }),
    log = h("pre", { class: "output", tabindex: "0", role: "region", "aria-label": "Log" }),
    files = h("div", {});
  fill(root, title, sentence, act, told, h("h3", {}, "Log"), log, files);
  const self = { id, job: {}, stands, close: () => stopping.abort() };

  function stands(job) {
    self.job = job;
    fill(title, job.study, " ", stateOf(job.state));
    sentence.textContent = [
      job.recipe ? `Models for ${job.file}` : `The job file ${job.file}`,
      `handed over by ${job.by} on ${when(job.submitted_at)}`,
      job.attempt > 1 ? `attempt ${job.attempt}` : "",
      job.why,
    ]
      .filter(Boolean)
      .join("; ");
    fill(
      act,
      job.recipe ? null : h("a", { class: "button", href: link({ study: job.study }) }, "Its study"),
      submits && !over.has(job.state)
        ? h("button", { type: "button", class: "danger", onclick: cancel }, "Cancel it")
        : null,
    );
    if (over.has(job.state)) left().catch((error) => fill(files, empty(error.message)));
    else fill(files);
  }

  async function cancel() {
    try {
      stands(await send("POST", `${path}/cancel`, { why: "" }));
      told.textContent = "It is told to end; trials get their grace.";
      say(told.textContent);
      await changed();
    } catch (error) {
      told.className = "wrong";
      told.textContent = error.message;
    }
  }

  async function left() {
    const found = await get(`${path}/files`, stopping.signal);
    fill(
      files,
      h("h3", {}, "What it has left"),
      found.files.length
        ? [
            h(
              "ul",
              { class: "files" },
              found.files.slice(0, 40).map((file) =>
                h(
                  "li",
                  {},
                  h(
                    "a",
                    { href: `${path}/files/${file.path.split("/").map(encodeURIComponent).join("/")}`, download: true },
                    file.path,
                  ),
                  h("span", { class: "soft" }, ` ${file.size.toLocaleString("en")} bytes`),
                ),
              ),
            ),
            h(
              "p",
              { class: "soft" },
              found.files.length > 40 ? `and ${(found.files.length - 40).toLocaleString("en")} more; ` : "",
              "all of it: ",
              h("code", {}, `tunesmith fetch ${self.job.study}`),
            ),
          ]
        : h("p", { class: "soft" }, "No files."),
    );
  }

  // The log in parts, each asked for behind the one before; the request waits until there is more.
  async function follow() {
    let after = 0,
      text = "";
    const decoder = new TextDecoder();
    while (!stopping.signal.aborted) {
      let answer;
      try {
        answer = await ask(`${path}/log?after=${after}&wait=20`, { signal: stopping.signal });
      } catch {
        if (stopping.signal.aborted) return;
        await new Promise((done) => setTimeout(done, 3000));
        continue;
      }
      const part = new Uint8Array(await answer.arrayBuffer());
      after = Number(answer.headers.get("Tunesmith-Cursor"));
      if (part.length) {
        const low = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
        text += plain(decoder.decode(part, { stream: true }));
        if (text.length > most) text = `…${text.slice(-most)}`;
        log.textContent = text;
        if (low) log.scrollTop = log.scrollHeight;
      } else if (over.has(answer.headers.get("Tunesmith-State"))) {
        if (!text) log.textContent = "It has printed nothing.";
        return;
      }
    }
  }

  get(path, stopping.signal)
    .then((job) => {
      stands(job);
      return follow();
    })
    .catch((error) => error.name !== "AbortError" && fill(root, empty(error.message)));
  return self;
}

// What a terminal would make of colours and of lines that are written over.
function plain(text) {
  // eslint-disable-next-line no-control-regex
  return text.replace(/\x1b\[[0-9;?]*[A-Za-z]/g, "").replace(/\r\n/g, "\n").replace(/[^\n]*\r(?=[^\n])/g, "");
}

// -- a table or images, and no program -------------------------------------------------------------

const options = [
  ["time", "Time", "10m", "As 90s, 10m or 2h."],
  ["trials", "Models to try", "", "At most so many; empty: as many as the time allows."],
  ["metric", "Metric", "", "mae, accuracy, ...; empty: what suits the data."],
];
// What the service takes of one job.
const mostFiles = 5000,
  mostFile = 32 << 20,
  mostBytes = 256 << 20;

function recipe(done) {
  const kind = h(
      "select",
      { id: "kind" },
      h("option", { value: "table" }, "A table"),
      h("option", { value: "images" }, "A folder of images"),
    ),
    file = h("input", { id: "table", type: "file" }),
    folder = h("input", { id: "folder", type: "file", webkitdirectory: true, multiple: true }),
    target = h("input", { id: "target", type: "text", autocomplete: "off", list: "columns" }),
    columns = h("datalist", { id: "columns" }),
    name = h("input", { id: "study-name", type: "text", required: true, autocomplete: "off", pattern: "[A-Za-z0-9][A-Za-z0-9_.\\-]*" }),
    sent = h("p", { class: "soft", role: "status" }),
    rest = options.map(([key, label, value, hint]) => ({
      key,
      label,
      hint,
      input: h("input", { id: `fit-${key}`, type: "text", autocomplete: "off", value }),
    }));
  const field = (id, label, input, hint) =>
    h("div", { class: "field" }, h("label", { for: id }, label), input, hint ? h("small", {}, hint) : null);
  const ofTable = [
      field("table", "Table", file, "CSV, Parquet or a spreadsheet, 32 MiB at most."),
      field("target", "Column to predict", [target, columns]),
    ],
    ofImages = [field("folder", "Folder", folder, "In it a folder for each class; 5,000 images and 256 MiB at most.")];
  const images = () => kind.value === "images";
  function turn() {
    ofTable.forEach((one) => (one.hidden = images()));
    ofImages.forEach((one) => (one.hidden = !images()));
    file.required = target.required = !images();
    folder.required = images();
  }
  kind.addEventListener("change", turn);
  turn();
  const call = (text) => {
    if (!name.value) name.value = text.replace(/[^A-Za-z0-9_.-]+/g, "-").replace(/^[^A-Za-z0-9]+/, "") || "data";
  };
  file.addEventListener("change", async () => {
    const chosen = file.files[0];
    if (!chosen) return;
    call(chosen.name.replace(/\..*$/, ""));
    const names = heads(await chosen.slice(0, head).text());
    fill(columns, names.map((one) => h("option", { value: one })));
    if (!names.includes(target.value)) target.value = names[names.length - 1] || "";
  });
  folder.addEventListener("change", () => folder.files[0] && call(folder.files[0].webkitRelativePath.split("/")[0]));
  // The files to send: [path, File]; what is hidden stays here.
  function chosen() {
    if (!images()) return [[file.files[0].name, file.files[0]]];
    const all = [...folder.files]
      .map((one) => [one.webkitRelativePath, one])
      .filter(([path]) => !path.split("/").some((part) => part.startsWith(".")));
    if (!all.length) throw new Error("There are no files in this folder.");
    if (all.length > mostFiles || all.reduce((sum, [, one]) => sum + one.size, 0) > mostBytes)
      throw new Error(
        "This folder has more than 5,000 files or 256 MiB: copy it to where the service runs, and run tunesmith fit there.",
      );
    return all;
  }
  let key = crypto.randomUUID(); // sent again after a lost answer it is the same job
  async function act() {
    const files = chosen(),
      listed = [];
    for (const [path, one] of files) {
      if (one.size > mostFile) throw new Error(`${path} has more than 32 MiB, which is the most that is taken of one file.`);
      listed.push({ path, sha256: await sum(one), size: one.size });
      if (files.length > 1) sent.textContent = `${listed.length.toLocaleString("en")} of ${files.length.toLocaleString("en")} files read`;
    }
    const { missing } = await send("POST", "api/v1/blobs/missing", { sha256: [...new Set(listed.map((one) => one.sha256))] });
    const by = new Map(listed.map((one, k) => [one.sha256, files[k][1]]));
    for (const [k, digest] of missing.entries()) {
      await ask(`api/v1/blobs/${digest}`, {
        method: "PUT",
        body: await by.get(digest).arrayBuffer(),
        headers: { "Content-Type": "application/json" }, // what no other site's page may send
      });
      if (files.length > 1) sent.textContent = `${(k + 1).toLocaleString("en")} of ${missing.length.toLocaleString("en")} files sent`;
    }
    sent.textContent = "";
    const fit = images() ? {} : { target: target.value.trim() };
    for (const one of rest) if (one.input.value.trim()) fit[one.key] = one.input.value.trim();
    const job = await send(
      "POST",
      "api/v1/jobs",
      { study: name.value.trim(), file: files[0][0].split("/")[0], files: listed, fit },
      { "Idempotency-Key": key },
    );
    key = crypto.randomUUID();
    done(job);
    return `Job ${job.id} is ${job.state}.`;
  }
  return h(
    "section",
    { class: "panel" },
    h("h2", {}, "Find a model for a table or images"),
    h("p", { class: "soft" }, "Many models are trained, and the best one is kept. The files go to this service, and nowhere else."),
    form(
      "Hand it over",
      [
        h(
          "div",
          { class: "fields" },
          field("kind", "Data", kind),
          ofTable,
          ofImages,
          field("study-name", "Name", name, "Letters, digits and _.-"),
          rest.map((one) => field(`fit-${one.key}`, one.label, one.input, one.hint)),
        ),
        sent,
      ],
      act,
    ),
  );
}

async function sum(file) {
  const digest = await crypto.subtle.digest("SHA-256", await file.arrayBuffer());
  return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

// The names in the first line of a text table; none where it is none.
function heads(text) {
  const line = text.split(/\r?\n/, 1)[0].replace(/^\ufeff/, "");
  if (/[\x00-\x08]/.test(line)) return [];
  const by = ["\t", ";", ","].find((one) => line.includes(one)) || ",";
  const names = [];
  let word = "",
    quoted = false;
  for (const letter of line) {
    if (letter === '"') quoted = !quoted;
    else if (letter === by && !quoted) {
      names.push(word.trim());
      word = "";
    } else word += letter;
  }
  names.push(word.trim());
  return names.filter(Boolean);
}
