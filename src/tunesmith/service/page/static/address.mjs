// What is shown is in the address: a link shows a colleague the same.

const names = [
  "study",
  "view",
  "job",
  "trial",
  "where",
  "brush",
  "sort",
  "columns",
  "q",
  "tag",
  "owner",
  "with",
  "before",
  "by",
  "log",
  "over",
  "x",
  "y",
];

export function read() {
  const search = new URLSearchParams(location.search),
    state = {};
  for (const name of names) state[name] = search.get(name) || "";
  return state;
}

export function link(state) {
  const search = new URLSearchParams();
  for (const name of names) if (state[name]) search.set(name, state[name]);
  const text = search.toString();
  return text ? `?${text}` : "./";
}

export function changed(state, changes) {
  return { ...state, ...changes };
}

export function go(changes, { replace = false } = {}) {
  const state = changed(read(), changes);
  history[replace ? "replaceState" : "pushState"](null, "", link(state));
  dispatchEvent(new Event("address"));
}

// -- the filter, in the language of the space's relations ----------------------------------------

const word = /^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$/;
const taken = new Set(["and", "or", "not", "in", "if", "else", "is", "for", "None", "True", "False", "lambda"]);

function named(name) {
  return word.test(name) && !name.split(".").some((part) => taken.has(part)) ? name : `metric(${JSON.stringify(name)})`;
}

function literal(value) {
  if (value === null) return "None";
  if (value === true) return "True";
  if (value === false) return "False";
  return JSON.stringify(value);
}

export function brushes(state) {
  try {
    return state.brush ? JSON.parse(state.brush) : {};
  } catch {
    return {};
  }
}

function clause(name, brush) {
  if (brush.in) return `${named(name)} in [${brush.in.map(literal).join(", ")}]`;
  const [low, high] = brush.range;
  return `${named(name)} >= ${low} and ${named(name)} <= ${high}`;
}

// The filter that is written and the brushes on axes, as one expression.
export function filter(state) {
  const parts = Object.entries(brushes(state)).map(([name, brush]) => clause(name, brush));
  if (state.where) parts.unshift(parts.length ? `(${state.where})` : state.where);
  return parts.join(" and ");
}
