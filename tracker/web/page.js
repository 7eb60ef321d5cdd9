// A plain page: every experiment, its newest runs, and the newest value of each curve; read again every two seconds.
// Whatever comes from the server is set as text, never as HTML: the name of a run may be anybody's.

const INTERVAL = 2000; // ms
const state = document.querySelector("#state");
const about = document.querySelector("#about");
const main = document.querySelector("#experiments");
const signIn = document.querySelector("#sign-in");

function element(tag, { text = "", className = "" } = {}, ...children) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(text, ...children);
  return node;
}

async function get(path) {
  const response = await fetch(path, { headers: { Accept: "application/json" } });
  const body = await response.json();
  if (!response.ok) throw Object.assign(new Error(body.detail), { status: response.status });
  return body;
}

// The key goes to the server once, and comes back as a cookie that no script reads.
signIn.addEventListener("submit", async (event) => {
  event.preventDefault();
  const body = JSON.stringify({ key: new FormData(signIn).get("key") });
  signIn.reset();
  const response = await fetch("/session", { method: "POST", headers: { "Content-Type": "application/json" }, body });
  if (response.ok) return refresh();
  state.textContent = (await response.json()).detail;
  state.className = "bad";
});

const number = (value) => (typeof value === "number" ? Number(value.toPrecision(4)).toString() : value);

// The params in which the runs differ; of a single run, all.
function tellingParams(runs) {
  const params = [...new Set(runs.flatMap((run) => Object.keys(run.params)))].sort();
  const differs = (p) => new Set(runs.map((run) => JSON.stringify(run.params[p]))).size > 1;
  return runs.length > 1 ? params.filter(differs) : params;
}

function table(runs) {
  const params = tellingParams(runs);
  const keys = [...new Set(runs.flatMap((run) => Object.keys(run.latest)))].sort();
  const cell = (text, className = "") => element("td", { text, className });
  const rows = runs.map((run) => {
    const steps = Object.values(run.latest).map((point) => point.step);
    return element("tr", {},
      cell(run.name),
      cell(run.status, run.status),
      ...params.map((p) => cell(p in run.params ? JSON.stringify(run.params[p]) : "", "number")),
      cell(steps.length ? String(Math.max(...steps)) : "", "number"),
      ...keys.map((k) => cell(k in run.latest ? number(run.latest[k].value) : "", "number")));
  });
  const head = (text, className, span = 1) => {
    const th = element("th", { text, className });
    th.scope = span > 1 ? "colgroup" : "col";
    th.colSpan = span;
    return th;
  };
  const groups = [head("", "", 2)];
  if (params.length) groups.push(head("params", "number", params.length));
  groups.push(head("newest values", "number", 1 + keys.length));
  const names = [head("run"), head("status"), ...[...params, "step", ...keys].map((name) => head(name, "number"))];
  return element("div", { className: "scroll" },
    element("table", {},
      element("thead", {}, element("tr", { className: "groups" }, ...groups), element("tr", {}, ...names)),
      element("tbody", {}, ...rows)));
}

function section({ name, description, runs }) {
  const parts = [element("h2", { text: name })];
  if (description) parts.push(element("p", { text: description, className: "faint" }));
  parts.push(runs.items.length ? table(runs.items) : element("p", { text: "No run yet.", className: "faint" }));
  if (runs.next) parts.push(element("p", { text: `The newest ${runs.items.length} runs.`, className: "faint" }));
  return element("section", {}, ...parts);
}

async function refresh() {
  try {
    about.textContent = (await get("/healthz")).about;
    const { items } = await get("/experiments?limit=20");
    const experiments = await Promise.all(items.map(({ id }) => get(`/experiments/${id}`)));
    main.replaceChildren(...experiments.map(section));
    signIn.hidden = true;
    state.textContent = items.length ? "" : "No experiment yet. Train three runs: tracker demo";
    state.className = "";
  } catch (error) {
    if (error.status === 401) {
      main.replaceChildren();
      signIn.hidden = false;
      state.textContent = "This tracker needs a key.";
      state.className = "";
      return; // until somebody signs in
    }
    state.textContent = `The tracker does not answer (${error.message}). Trying again.`;
    state.className = "bad";
  }
  setTimeout(refresh, INTERVAL);
}

refresh();
