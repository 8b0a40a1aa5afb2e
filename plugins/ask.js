// The Ask page: what is typed becomes a run, the run's id becomes the address, and the address shows the answer.
const MOST_FACETS = 5;
const results = new Map();  // by run, of this tab: Back is at once
let waiting = null, facets = "";

/** A run id that nobody else makes, so that a request whose answer was lost can be repeated without asking twice. */
function newRunId() {
  const lot = crypto.getRandomValues(new Uint8Array(8));
  return `ask__${new Date().toISOString()}__${Array.from(lot, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

/** Start a run, and return its id. */
async function start(conf, signal) {
  const run = newRunId();
  try {
    await patient(`/dags/${DAG}/dagRuns`, { ...json("POST", { dag_run_id: run, logical_date: null, conf }), signal });
  } catch (error) {
    // 409: an attempt that seemed to fail has made the run. Where no attempt was answered, the run itself tells.
    if (error.status !== 409 && !error.passing) throw error;
    const there = await perhaps(pathOf(run), { signal }).catch((other) => {
      if (other.name === "AbortError") throw other;
      return null;
    });
    if (!there) throw error;
  }
  return run;
}

/** What is live, and what it can be filtered by; without any attribute, the field stays hidden. */
async function showCatalogue(signal) {
  const attributes = await showLive(signal);
  if (!attributes) return;
  $("attributes").textContent = OWN.attributes(attributes.map(({ name, type }) => `${name} (${type})`).join(", "));
  const examples = { keyword: (name) => `${name} = "…"`, money: (name) => `${name} < 200`, number: (name) => `${name} < 200` };
  const able = attributes.filter(({ type }) => type in examples).slice(0, 2);
  $("filter").placeholder = able.map(({ name, type }) => examples[type](name)).join(" and ");
  facets = attributes.filter((each) => each.counted).slice(0, MOST_FACETS).map((each) => each.name).join(", ");
  $("narrow").hidden = !attributes.length && !$("filter").value.trim();
}

/** Mark the place in the filter that a message speaks of. Characters are counted as the server does. */
function markFault(message) {
  const place = /^Filter, character (\d+)/.exec(message);
  if (!place) return;
  const text = $("filter").value, at = [...text].slice(0, Number(place[1]) - 1).join("").length;
  $("filter").focus();
  $("filter").setSelectionRange(at, text.length);
}

/** What is too long about the text, in words; empty if nothing is. Characters are counted as the server does. */
function tooLong(text) {
  const told = [];
  text.split("\n").forEach((line, position) => {
    const length = [...line.trim()].length;
    if (length > LONGEST_QUESTION) told.push(OWN.line(position + 1, length, LONGEST_QUESTION));
  });
  const all = [...text.trim()].length;
  if (all > LONGEST_TEXT) told.push(OWN.lines(all, LONGEST_TEXT));
  return told.length ? `${told.slice(0, 3).join("\n")}\n${OWN.shorten(told.length)}` : "";
}

function judge() {
  const told = tooLong($("question").value);
  if ($("toolong").textContent !== told) $("toolong").textContent = told;
  $("toolong").hidden = !told;
  $("question").setCustomValidity(told);
  $("question").setAttribute("aria-invalid", String(Boolean(told)));
  $("ask").disabled = Boolean(told || waiting?.asked);
  $("ask").title = told;
}

/** Airflow's window around this frame, whose address people see, reload and go back to; null where this is no frame of it. */
function around() {
  try {
    return parent !== window && parent.location.pathname.startsWith(`${ROOT}plugin/ask`) ? parent : null;
  } catch {
    return null;  // a window of another origin has an address of its own
  }
}

/** A new address, without loading it. Around a frame it is written as Airflow itself writes it, so that a reload comes back here. */
function goTo(query) {
  const outer = around();
  if (query === location.search) return;
  if (!outer) return history.pushState(null, "", location.pathname + query);
  outer.history.pushState(outer.history.state, "", `${ROOT}plugin/ask${location.pathname}${query}`);
  history.replaceState(null, "", location.pathname + query);  // after it, so that the entry before keeps its own
}

/** Back and Forward: of this page's own window, or of Airflow's around it. */
function followAddress() {
  const outer = around();
  if (!outer) return addEventListener("popstate", render);
  const moved = () => {  // Airflow follows only those addresses that it has written itself
    if (!around() || outer.location.search === location.search) return;
    history.replaceState(null, "", location.pathname + outer.location.search);
    render();
  };
  outer.addEventListener("popstate", moved);
  addEventListener("pagehide", () => outer.removeEventListener("popstate", moved));
  // Airflow then loads the address that the frame has by now once more: what is typed meanwhile would be lost.
  window.navigation?.addEventListener("navigate", (event) => {
    const { url, sameDocument } = event.destination;
    const again = event.navigationType === "replace" && !sameDocument && url === location.href;
    if (again && event.canIntercept) event.intercept({ focusReset: "manual", scroll: "manual" });
  });
}

/** Do something that is waited for; whatever was waited for before is not any more. */
async function waitFor(work, asked) {
  waiting?.abort();
  hideTyped();
  const mine = waiting = Object.assign(new AbortController(), { asked });
  $("problem").hidden = true;
  $("stop").hidden = false;
  judge();
  try {
    await work(mine.signal);
  } catch (error) {
    if (mine !== waiting) return;  // something else is shown by now
    say("");
    if (error.name === "AbortError") offerAgain();
    else { complain(error); markFault(error.message); }
  } finally {
    if (mine === waiting) {
      waiting = null;
      $("stop").hidden = true;
      judge();
    }
  }
}

function offerAgain() {
  const run = new URLSearchParams(location.search).get("run");
  say(run ? OWN.stopped : "");
  if (run) button($("status"), OWN.again, () => show(run));
}

async function submit() {
  const question = $("question").value.trim();
  if (waiting?.asked || !$("form").reportValidity() || !question) return;
  await waitFor(async (signal) => {
    say(OWN.asking, true);
    const began = performance.now();
    const dag = await patient(`/dags/${DAG}`, { signal });
    if (dag.is_paused) {
      throw new Problem(OWN.paused, {
        next: OWN.pausedNext,
        offer: { label: OWN.unpause, act: async () => { await patient(`/dags/${DAG}`, json("PATCH", { is_paused: false })); submit(); } },
      });
    }
    await showCatalogue(signal);  // another version may be live since the page was opened
    const filter = $("filter").value.trim();
    const conf = { question, mode: $("mode").value, top_k: Number($("top_k").value), ...(filter && { filter }), ...(facets && { facets }) };
    try {
      const run = await start(conf, signal);
      goTo(`?run=${encodeURIComponent(run)}`);
      atHome(false);
      showQuestions(conf);
      const result = await answerOf(run, signal);
      put(result, run);
      say(told(result, (performance.now() - began) / 1000));
    } finally {
      showHistory(visit);  // a question that failed, or is not waited for, is the user's too
    }
  }, true);
}

async function answerOf(run, signal) {
  if (!results.has(run)) results.set(run, await follow(run, (text) => say(text, true), signal));
  return results.get(run);
}

function told({ answers, file }, seconds) {
  const count = file ? 1 : answers.filter((each) => !each.error).length;
  const left = file ? 0 : answers.length - count;
  return `${OWN.answered(count, seconds)}${left ? OWN.unasked(left) : ""}.`;
}

function put(result, run) {
  $("answers").replaceChildren(cards(result, run));
  $("answers").querySelector("article")?.focus({ preventScroll: true });
}

/** Show a run's answer, and its question in the form; a run that goes on is waited for. */
function show(run) {
  atHome(false);
  return waitFor(async (signal) => {
    say(OWN.looking, true);
    $("answers").replaceChildren();
    const found = await perhaps(pathOf(run), { signal });
    if (!found) throw new Problem(OWN.noRun(run));
    fill(found.conf ?? {});
    if (!results.has(run)) showQuestions(found.conf ?? {});
    put(await answerOf(run, signal), run);
    say("");
  }, false);
}

/** The form as a run was asked. */
function fill({ question = "", filter = "", mode, top_k: products, questions_file: file }) {
  $("question").value = file ? "" : question;
  $("filter").value = filter ?? "";
  if (filter) $("narrow").hidden = false;
  if (mode) $("mode").value = mode;
  if (products) $("top_k").value = products;
  showChips($("filter").value, refilter);
  judge();
}

/** Questions to begin with while there is no answer; the user's own are folded beside one. */
function atHome(home) {
  $("examples").hidden = !home;
  $("history").open = home;
}

function visit(run) {
  goTo(`?run=${encodeURIComponent(run)}`);
  return show(run);
}

/** What the address says. A question in it fills the field and no more: asking starts a run, which a mere link shall not. */
function render() {
  const query = new URLSearchParams(location.search);
  const run = query.get("run");
  if (run) return show(run);
  waiting?.abort();
  waiting = null;
  hideTyped();
  $("stop").hidden = $("problem").hidden = true;
  $("answers").replaceChildren();
  say("");
  atHome(true);
  if (query.has("q")) fill({ question: query.get("q") });
  judge();
  $("question").focus();
}

function refilter(filter) {
  $("filter").value = filter;
  showChips(filter, refilter);
  return submit();
}

/** A click on a count of an answer: the same question, of the products with that value. */
function narrowTo(condition, asJson) {
  return refilter(narrowed($("filter").value, condition, asJson));
}

translatePage();
document.title = OWN.title;
$("form").addEventListener("submit", (event) => { event.preventDefault(); submit(); });
$("stop").addEventListener("click", () => waiting?.abort());
$("question").addEventListener("input", judge);
$("question").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); submit(); }
});
$("filter").addEventListener("input", () => showChips($("filter").value, refilter));
$("pipeline").href = `${ROOT}dags/${PIPELINE}`;
followAddress();
showCatalogue();
showExamples((question) => { fill({ question }); submit(); });
showHistory(visit);
render();
