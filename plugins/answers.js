// What the Ask page and a question's run page share: Airflow's REST API, and how answers and problems look.
const DAG = "answer_question", TASK = "answer_question";
// Each page says where Airflow's root is from its own address: Airflow may itself be served under a path.
const ROOT = new URL(document.documentElement.dataset.root, location.href).pathname;
const API = `${ROOT}api/v2`;
const PASSING = new Set([500, 502, 503, 504]);  // 500: with SQLite, Airflow says so while another writes
const DELAYS = [300, 900, 2700, 5400];  // milliseconds before each further attempt
const $ = (id) => document.getElementById(id);

/** A problem in plain words: `next` is what to do, `offer` a button's {label, act}, `run` the id of the run it was in. */
class Problem extends Error {
  constructor(message, { next = "", offer = null, run = null, status = 0 } = {}) {
    super(message);
    Object.assign(this, { next, offer, run, status, passing: PASSING.has(status) || status === -1 });
  }
}

async function call(path, options = {}) {
  let response;
  try {
    response = await fetch(API + path, { credentials: "same-origin", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem("Airflow does not answer.", { next: "Is its web server running, and the network up?", status: -1 });
  }
  if (response.ok) return response.json();
  const { status } = response;
  const body = await response.json().catch(() => ({}));
  const detail = typeof body.detail === "string" ? body.detail : JSON.stringify(body.detail ?? "");
  const [message, next] = status === 401 ? ["Your session has ended.", "Reload the page and log in again."]
    : status === 403 ? [`You may not do this: your role lacks a permission on the DAG ${DAG}.`, "Ask an administrator for it."]
    : status === 404 ? [`Airflow does not know the DAG ${DAG} (yet).`, "New DAG files take up to five minutes to appear; see DAGs, Import Errors."]
    : status === 400 || status === 422 ? [`Airflow refused the question: ${detail}`, ""]
    : PASSING.has(status) ? [`Airflow answered with status ${status}, each time it was asked. ${detail}`, "It may be busy: try again in a minute. If it stays so, the web server's log says why."]
    : [`Airflow answered with status ${status}. ${detail}`, ""];
  throw new Problem(message, { next, status });
}

function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const stop = () => { clearTimeout(timer); reject(signal.reason); };
    const timer = setTimeout(() => { signal?.removeEventListener("abort", stop); resolve(); }, milliseconds);
    if (signal?.aborted) stop();
    else signal?.addEventListener("abort", stop, { once: true });
  });
}

/** `call`, again after growing delays while Airflow is too busy or away: for what may safely be asked twice. */
async function patient(path, options = {}) {
  for (let tried = 0; ; tried += 1) {
    try {
      return await call(path, options);
    } catch (error) {
      if (!error.passing || tried === DELAYS.length) throw error;
      await pause(DELAYS[tried] * (0.75 + Math.random() / 2), options.signal);  // tabs that met once shall not meet again
    }
  }
}

/** `patient`, and null where there is nothing (404) or it may not be seen (403). */
async function perhaps(path, options = {}) {
  try {
    return await patient(path, options);
  } catch (error) {
    if (error.status === 404 || error.status === 403) return null;
    throw error;
  }
}

const json = (method, body) => ({ method, headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
const pathOf = (run) => `/dags/${DAG}/dagRuns/${encodeURIComponent(run)}`;
const inMap = "map_index=-1";

/** Why the task of a run failed: {name, what, next}; null if it cannot be told. */
async function whyFailed(run, signal) {
  const task = `${pathOf(run)}/taskInstances/${TASK}`;
  const kept = await perhaps(`${task}/xcomEntries/failure?${inMap}`, { signal });
  const record = kept && unpacked(kept.value);
  if (record) return { name: record.class, what: record.what, next: record.next_step };
  const { try_number: number } = await patient(task, { signal });
  const log = await patient(`${task}/logs/${number || 1}?${inMap}`, { headers: { Accept: "application/json" }, signal });
  const entries = Array.isArray(log.content) ? log.content : [];
  const told = entries.flatMap((entry) => entry.error_detail ?? []).at(-1);
  return told ? { name: told.exc_type, what: told.exc_value, next: "" } : null;
}

const unpacked = (value) => (typeof value === "string" ? JSON.parse(value) : value);

async function failure(run, signal) {
  const why = await whyFailed(run, signal).catch((error) => {
    if (error.name === "AbortError") throw error;
    return null;  // who may not read logs still learns that it failed
  });
  if (!why) return new Problem("The run ended without an answer.", { next: "Its log says why.", run });
  if (/NoLiveIndex/.test(why.name)) {
    return new Problem("There is no index to search yet.",
      { next: "Trigger the DAG train_and_index, and ask again when its task publish has succeeded.", run });
  }
  return new Problem(why.what, { next: why.next, run });
}

/** Wait for the end of a run, and return its result; `tell` is called with what there is to say meanwhile. */
async function follow(run, tell, signal) {
  const began = performance.now();
  for (;;) {
    const { state } = await patient(pathOf(run), { signal });
    const waited = (performance.now() - began) / 1000;
    if (state === "success") break;
    if (state === "failed") throw await failure(run, signal);
    if (state === "queued") tell(waited > 20 ? "Still queued: is Airflow's scheduler running and not busy, and the DAG not paused?" : "Queued…");
    else tell(waited < 4 ? "Searching…" : await progress(run, signal));
    await pause(waited < 5 ? 400 : waited < 30 ? 1000 : 2500, signal);
  }
  // Not `…/wait`: a browser holds six connections to a host, so six waiting tabs would block all others.
  const found = await perhaps(`${pathOf(run)}/taskInstances/${TASK}/xcomEntries/return_value?${inMap}`, { signal });
  if (found) return unpacked(found.value);
  throw new Problem("The question was answered, but the answer cannot be read.",
    { next: `Either your role lacks "read" on XComs of the DAG ${DAG}, or the result has been cleared.`, run });
}

/** What a run that takes long is at. */
async function progress(run, signal) {
  const task = await perhaps(`${pathOf(run)}/taskInstances/${TASK}`, { signal });
  if (task?.state !== "up_for_retry") return "Searching…";
  const why = await whyFailed(run, signal).catch(() => null);
  return `Try ${task.try_number} failed${why ? `: ${why.what}` : "."} It is tried again soon.`;
}

function add(parent, tag, text = "", className = "") {
  const made = document.createElement(tag);
  if (text) made.textContent = text;
  if (className) made.className = className;
  return parent.appendChild(made);
}

/** `text` with the question's longer words marked. */
function marked(parent, text, question) {
  const words = new Set(question.toLowerCase().match(/[\p{L}\p{M}\p{N}]{4,}/gu) ?? []);
  for (const part of text.split(/([\p{L}\p{M}\p{N}]+)/u)) {
    if (words.has(part.toLowerCase())) add(parent, "mark", part);
    else parent.append(part);
  }
}

/** An attribute's value in words: a day without its midnight, a list with commas. */
function written(value) {
  if (Array.isArray(value)) return value.join(", ");
  return typeof value === "string" ? value.replace(/T00:00:00Z$/, "") : String(value);
}

/** How many products have each value; on the Ask page, each narrows the filter. */
function counts(batch, facets) {
  for (const [name, values] of Object.entries(facets ?? {})) {
    if (!values.length) continue;
    const line = add(batch, "p", `${name}: `, "facets");
    for (const { value, count, filter } of values) {
      const each = add(line, $("filter") ? "button" : "span", `${written(value)} (${count.toLocaleString("en")})`, "quiet");
      each.dataset.condition = filter;
      each.dataset.json = JSON.stringify({ key: name, match: { value } });
      if ($("filter")) each.type = "button";
    }
  }
}

function listed(card, name, products, { searched, translated, language }) {
  const list = add(card, "ol");
  if (translated) list.lang = translated.to;  // products are in the catalogue's own words
  list.setAttribute("aria-label", name);
  products.forEach((product, position) => {
    const item = add(list, "li");
    add(item, "span", String(position + 1), "number");
    add(item, "span", product.title || (WORDS[language] ?? WORDS.en).untitled, "title");
    add(item, "div", `score ${Number(product.score).toFixed(3)} · uid ${product.uid}`, "facts");
    const attributes = Object.entries(product.attributes ?? {});
    if (attributes.length) add(item, "div", attributes.map(([name, value]) => `${name}: ${written(value)}`).join(" · "), "facts");
    if (product.snippet) marked(add(item, "p", "", "snippet"), product.snippet, searched);
  });
}

// What a card says in its own words, in the question's language; English for any other.
const WORDS = {
  en: { sources: "Sources", nearest: "The nearest products", untitled: "(no title)", note: "Note",
    mended: ({ searched }) => `Showing results for: ${searched}`,
    translated: ({ searched, translated }) => `Machine translation (${translated.by}). Searched for: ${searched}` },
  pt: { sources: "Fontes", nearest: "Os produtos mais próximos", untitled: "(sem título)", note: "Nota",
    mended: ({ searched }) => `Mostrando resultados para: ${searched}`,
    translated: ({ searched, translated }) => `Tradução automática (${translated.by}). Procurado: ${searched}` },
};

/** A card for each question of a result. */
function cards(result, run) {
  const batch = document.createDocumentFragment();
  counts(batch, result.facets);
  for (const each of result.answers) {
    const card = add(batch, "article");
    const own = WORDS[each.language] ?? WORDS.en;
    card.tabIndex = -1;
    add(card, "h2", each.question);
    if (each.language) card.lang = own === WORDS.en ? "en" : each.language;
    if (each.error) {
      const box = add(card, "div", "", "problem");
      add(box, "p", each.error.what, "what");
      add(box, "p", each.error.next_step);
      continue;
    }
    if (Object.keys(each.mended ?? {}).length && !each.translated) add(card, "p", own.mended(each), "facts");
    add(card, "p", each.answer, each.found ? "answer" : "answer none");
    if (each.translated) add(card, "p", own.translated(each), "facts translated");
    if (each.sources.length) listed(card, own.sources, each.sources, each);
    else if (each.products?.length) {
      add(card, "h3", `${own.nearest}:`);
      listed(card, own.nearest, each.products, each);
    }
    for (const warning of each.warnings ?? []) add(card, "p", `${own.note}: ${warning}`, "warning");
    add(card, "p", `Searched in ${Number(each.seconds).toFixed(2)} s ${result.filter ? ` · filter ${result.filter}` : ""} · index ${result.version} · run ${run}`, "foot");
  }
  return batch;
}

function say(text, busy = false) {
  const status = $("status");
  status.toggleAttribute("data-busy", busy);
  if (status.textContent !== text) status.textContent = text;
}

/** The message first, then what to do, then the way to the log. */
function complain(error) {
  const problem = error instanceof Problem ? error : new Problem(`Something unexpected happened in this page: ${error.message}`);
  const box = $("problem");
  box.replaceChildren();
  add(box, "p", problem.message, "what");
  if (problem.next) add(box, "p", problem.next);
  if (problem.offer) {
    const button = add(box, "button", problem.offer.label, "quiet");
    button.type = "button";
    button.onclick = () => problem.offer.act().catch(complain);
  }
  if (problem.run) {
    const link = add(box, "a", `The log of run ${problem.run}`);
    link.href = `${ROOT}dags/${DAG}/runs/${encodeURIComponent(problem.run)}/tasks/${TASK}`;
    link.target = "_top";
  }
  box.hidden = false;
}
