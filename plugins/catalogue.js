// What stands around the question on the Ask page: what is live, questions to begin with, and the user's own of before.
const UNITS = [["year", 31536000], ["month", 2592000], ["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];

/** "3 hours ago", in the browser's language. */
function ago(moment) {
  const seconds = (Date.now() - new Date(moment)) / 1000;
  const [unit, length] = UNITS.find(([, each]) => Math.abs(seconds) >= each) ?? UNITS.at(-1);
  return new Intl.RelativeTimeFormat(LANGUAGE, { numeric: "auto" }).format(-Math.round(seconds / length), unit);
}

/** What is searched, how old it is, who let it go live, and its report. Gives back the version's attributes; null if nothing tells them. */
async function showLive(signal) {
  const response = await fetch(`${OURS}/live`, { credentials: "same-origin", signal }).catch(() => null);
  const live = response?.ok ? await response.json().catch(() => undefined) : undefined;
  $("nothing").hidden = live !== null;
  $("live").hidden = !live;
  if (!live) return live === null ? [] : null;
  $("live").querySelector("summary").textContent = OWN.searching(live.products, ago(live.published.published_at));
  const list = $("live").querySelector("dl");
  list.replaceChildren();
  const { action, run_id: run, approved_by: who, published_at: when } = live.published;
  const told = (name) => { add(list, "dt", name); return add(list, "dd"); };
  told(OWN.version).append(`${live.version} · ${live.collection}`);
  told(OWN.model).append(`${live.model.split("/").at(-1)} · ${live.dimensions} d${live.language ? ` · ${live.language}` : ""}`);
  const by = [OWN.run(run), who && OWN.approved(who), action === "rolled back" && OWN.rolledBack, new Date(when).toLocaleString(LANGUAGE)];
  const place = told(OWN.publishedBy);
  place.append(by.filter(Boolean).join(" · "));
  if (live.made_by) { place.append(" · "); link(place, OWN.report, `${pageOf(live.made_by, PIPELINE)}/plugin/report`); }
  return live.attributes;
}

/** Questions that the catalogue's own products answer, to begin with; `act` is called with the one that is clicked. */
async function showExamples(act) {
  const examples = await ours("examples");
  const box = $("examples").querySelector("div");
  box.replaceChildren();
  for (const question of examples ?? []) button(box, question, () => act(question), "example");
  $("examples").classList.toggle("none", !examples?.length);
}

/** The user's own questions, newest first; each leads to its answer. */
async function showHistory(act, before = "") {
  const found = await ours(`history${before && `?before=${before}`}`);
  const list = $("history").querySelector("ol");
  if (!before) list.replaceChildren();
  $("history").hidden = !found;
  if (!found) return;
  for (const { run_id: run, question, state, asked_at: when } of found.questions) {
    const lines = question.trim().split("\n");
    const item = add(list, "li");
    const made = add(item, "a", lines[0] + (lines.length > 1 ? ` (+${lines.length - 1})` : ""));
    made.href = `ask?run=${encodeURIComponent(run)}`;
    made.onclick = (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      act(run);
    };
    add(item, "span", [OWN.states[state] ?? state, ago(when)].filter(Boolean).join(" · "), "facts");
  }
  $("history").querySelector("p").hidden = Boolean(list.children.length);
  const more = $("more");
  more.hidden = !found.next;
  more.onclick = () => showHistory(act, found.next);
}
