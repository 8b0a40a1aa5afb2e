// Airflow's REST API, as both pages use it: patiently, and with problems in plain words.
const DAG = "answer_question", TASK = "answer_question", PIPELINE = "train_and_index";
// Each page says where Airflow's root is from its own address: Airflow may itself be served under a path.
const ROOT = new URL(document.documentElement.dataset.root, location.href).pathname;
const API = `${ROOT}api/v2`, OURS = `${ROOT}vitrine`;
const PASSING = new Set([500, 502, 503, 504]);  // 500: with SQLite, Airflow says so while another writes
const DELAYS = [300, 900, 2700, 5400];  // milliseconds before each further attempt

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
    throw new Problem(OWN.noAnswer, { next: OWN.noAnswerNext, status: -1 });
  }
  if (response.ok) return response.json();
  const { status } = response;
  const body = await response.json().catch(() => ({}));
  const detail = typeof body.detail === "string" ? body.detail : JSON.stringify(body.detail ?? "");
  const [message, next] = status === 401 ? [OWN.ended, OWN.endedNext]
    : status === 403 ? [OWN.forbidden, OWN.forbiddenNext]
    : status === 404 ? [OWN.unknownDag, OWN.unknownDagNext]
    : status === 400 || status === 422 ? [OWN.refused(detail), ""]
    : PASSING.has(status) ? [OWN.busy(status, detail), OWN.busyNext]
    : [OWN.status(status, detail), ""];
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
const pageOf = (run, dag = DAG) => `${ROOT}dags/${dag}/runs/${encodeURIComponent(run)}`;
const inMap = "map_index=-1";

/** What one of our own routes says; null where it says nothing, for whatever reason: the page does without. */
async function ours(path, options = {}) {
  const response = await fetch(`${OURS}/${path}`, { credentials: "same-origin", ...options }).catch(() => null);
  return response?.ok ? response.json().catch(() => null) : null;
}

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
  if (!why) return new Problem(OWN.failed, { next: OWN.failedNext, run });
  if (/NoLiveIndex/.test(why.name)) return new Problem(OWN.noIndex, { next: OWN.noIndexNext, run });
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
    if (state === "queued") tell(waited > 20 ? OWN.stillQueued : OWN.queued);
    else tell(waited < 4 ? OWN.searchingNow : await progress(run, signal));
    await pause(waited < 5 ? 400 : waited < 30 ? 1000 : 2500, signal);
  }
  // Not `…/wait`: a browser holds six connections to a host, so six waiting tabs would block all others.
  const found = await perhaps(`${pathOf(run)}/taskInstances/${TASK}/xcomEntries/return_value?${inMap}`, { signal });
  if (found) return unpacked(found.value);
  throw new Problem(OWN.unreadable, { next: OWN.unreadableNext, run });
}

/** What a run that takes long is at. */
async function progress(run, signal) {
  const task = await perhaps(`${pathOf(run)}/taskInstances/${TASK}`, { signal });
  if (task?.state !== "up_for_retry") return OWN.searchingNow;
  const why = await whyFailed(run, signal).catch(() => null);
  return OWN.tryFailed(task.try_number, why?.what);
}

