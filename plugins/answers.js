// How answers and problems look, on the Ask page and on a question's run page.
const $ = (id) => document.getElementById(id);
const { SURE, CLOSE, RELATED } = {{ sureness | tojson }};  // see include/answering/sureness.py

function add(parent, tag, text = "", className = "") {
  const made = document.createElement(tag);
  if (text) made.textContent = text;
  if (className) made.className = className;
  return parent.appendChild(made);
}

/** A link to a page of Airflow's UI, which opens in the whole window, not in the frame. */
function link(parent, text, href) {
  const made = add(parent, "a", text);
  made.href = href;
  made.target = "_top";
  return made;
}

/** A button that asks nothing of the form around it. */
function button(parent, text, act, className = "quiet") {
  const made = add(parent, "button", text, className);
  made.type = "button";
  made.onclick = act;
  return made;
}

/** The address of a run's answer on the Ask page inside Airflow, as Airflow itself writes it. */
const addressOf = (run) => `${ROOT}plugin/ask${OURS}/ask?run=${encodeURIComponent(run)}`;

/** `text` with the question's longer words marked. */
function marked(parent, text, question) {
  const plain = (word) => word.toLowerCase().replace(/s$/, "");  // "kettles" is "kettle"
  const words = new Set((question.match(/[\p{L}\p{M}\p{N}]{4,}/gu) ?? []).map(plain));
  for (const part of text.split(/([\p{L}\p{M}\p{N}]+)/u)) {
    if (words.has(plain(part))) add(parent, "mark", part);
    else parent.append(part);
  }
}

/** An attribute's value in words: a day without its midnight, a list with commas. */
function written(value) {
  if (Array.isArray(value)) return value.join(", ");
  return typeof value === "string" ? value.replace(/T00:00:00Z$/, "") : String(value);
}

/** How many products have each value. On the Ask page, a click on one narrows the question to it. */
function counts(parent, facets) {
  for (const [name, values] of Object.entries(facets ?? {})) {
    if (!values.length) continue;
    const line = add(parent, "p", `${name}: `, "facets");
    for (const { value, count, filter } of values) {
      const text = `${written(value)} (${number(count)})`;
      if (typeof narrowTo !== "function") { line.append(`${text} `); continue; }
      const made = button(line, text, () => narrowTo(filter, { key: name, match: { value } }));
      made.title = OWN.narrow(name, written(value), count);
    }
  }
}

/** The answer's text, each [1] in it a link to that source. Of several products' titles alone, which stand below, only that they fit. */
function answerText(card, each, own, position) {
  const place = add(card, "p", "", each.found ? "answer" : "answer none");
  const quotes = [...each.answer.matchAll(/“([^“”]*)” \[(\d+)\]/gu)];
  const titles = quotes.length > 1 && quotes.every(([, text, source]) => text === each.sources[source - 1]?.title);
  const rest = titles ? each.answer.slice(quotes.at(-1).index + quotes.at(-1)[0].length) : "";
  const text = titles ? `${own.fit(quotes.length)}${quotes.map(([, , source]) => `[${source}]`).join(" ")}${rest ? ` ·${rest}` : ""}` : each.answer;
  for (const part of text.split(/(\[\d+\])/)) {
    const source = /^\[(\d+)\]$/.exec(part)?.[1];
    if (!source || !each.sources[source - 1]) { place.append(part); continue; }
    const cite = add(place, "a", part, "cite");
    cite.href = `#source-${position}-${source}`;
    cite.setAttribute("aria-label", own.source(source));
    cite.onclick = (event) => {  // without a step in the history, which is one of answers
      event.preventDefault();
      $(`source-${position}-${source}`).focus();
    };
  }
}

/** In words, how sure it is; unfolded, the figures: that which the threshold is compared with, and the nearest product's. */
function sureness(card, each, result, own) {
  if (!each.confidence) return;
  const { answer, retrieval } = each.confidence;
  const sure = !each.found ? 2 : answer >= SURE ? 0 : 1;
  const match = retrieval >= CLOSE ? 0 : retrieval >= RELATED ? 1 : 2;
  const box = add(card, "details", "", `sure sure-${sure}`);
  add(box, "summary", `${own.sure[sure]} · ${own.match[match]}`);
  const told = own.from[result.threshold_from] ?? result.threshold_from ?? "";
  if (typeof result.threshold === "number") add(box, "p", own.figures(answer.toFixed(2), result.threshold.toFixed(2), told, retrieval.toFixed(2)), "facts");
}

/** Products with their attributes, numbered; those of `position`'s answer can be gone to. A sentence that the answer has is not said again. */
function listed(card, name, products, each, own, { from = 1, position = null } = {}) {
  add(card, "h3", name);
  const list = add(card, "ol");
  if (each.translated) list.lang = each.translated.to;  // products are in the catalogue's own words
  list.setAttribute("aria-label", name);
  products.forEach((product, place) => {
    const item = add(list, "li", "", position === null ? "" : "source");
    if (position !== null) Object.assign(item, { id: `source-${position}-${place + 1}`, tabIndex: -1 });
    add(item, "span", String(from + place), "number");
    add(item, "span", product.title || own.untitled, "title");
    const said = product.snippet && product.snippet !== product.title && !each.answer.includes(product.snippet);
    if (said) marked(add(item, "p", "", "snippet"), product.snippet, each.searched);
    const attributes = Object.entries(product.attributes ?? {});
    if (attributes.length) add(item, "p", attributes.map(([key, value]) => `${key}: ${written(value)}`).join(" · "), "facts");
    add(item, "p", `${own.similarity} ${Number(product.score).toFixed(3)} · uid ${product.uid}`, "facts");
  });
}

/** A question's card: the answer, how sure it is, its sources, and the other products by rank. */
function card(parent, each, position, result, run) {
  const made = add(parent, "article");
  const own = WORDS[each.language] ?? (each.language ? WORDS.en : OWN);
  made.tabIndex = -1;
  add(made, "h2", each.question);
  if (each.language) made.lang = own === WORDS.en ? "en" : each.language;
  if (each.error) {
    const box = add(made, "div", "", "problem");
    add(box, "p", each.error.what, "what");
    add(box, "p", each.error.next_step);
    return;
  }
  if (Object.keys(each.mended ?? {}).length && !each.translated) add(made, "p", own.mended(each.searched), "mended");
  answerText(made, each, own, position);
  if (each.translated) add(made, "p", own.translated(each.searched, each.translated.by), "facts translated");
  sureness(made, each, result, own);
  for (const warning of each.warnings ?? []) add(made, "p", `${own.note}: ${warning}`, "warning");
  const cited = new Set(each.sources.map(({ uid }) => uid));
  const others = (each.products ?? []).filter(({ uid }) => !cited.has(uid));
  if (each.sources.length) listed(made, own.sources, each.sources, each, own, { position });
  if (others.length) listed(made, each.found ? own.others : own.nearest, others, each, own, { from: each.sources.length + 1 });
  thumbs(made, run, position, own);
  foot(made, each, result, run, own);
}

function foot(parent, each, result, run, own) {
  const line = add(parent, "p", `${[own.foot(each.seconds), result.filter && own.filtered(result.filter), own.index(result.version)].filter(Boolean).join(" · ")} · `, "foot");
  link(line, own.itsRun, pageOf(run)).title = run;
  line.append(" · ");
  link(line, own.link, addressOf(run));
}

/** What a run gave back: a card for each question, or of a file of questions where its answers are. */
function cards(result, run) {
  const batch = document.createDocumentFragment();
  if (result.file) return fileCard(batch, result, run);
  counts(batch, result.facets);
  result.answers.forEach((each, position) => card(batch, each, position, result, run));
  return batch;
}

function fileCard(parent, { file, stats }, run) {
  const made = add(parent, "article");
  add(made, "h2", OWN.fileOf(stats.origin));
  add(made, "p", OWN.fileAsked(stats.asked, stats.found), "answer");
  add(made, "p", OWN.fileAt(file));
  for (const [name, each] of Object.entries(stats.figures)) add(made, "p", OWN.figure(name, each.value, each.questions), "facts");
  if (stats.rejected) {
    const reasons = Object.entries(stats.reasons).map(([reason, count]) => `${reason} (${number(count)})`);
    add(made, "p", OWN.setAside(stats.rejected, reasons.join(", ")), "warning");
  }
  for (const note of stats.notes) add(made, "p", note, "warning");
  foot(made, stats, stats, run, OWN);
  return parent;
}

/** The questions of a run alone, until there is more to show. */
function showQuestions({ question, questions_file: file } = {}) {
  $("answers").replaceChildren();
  if (file || typeof question !== "string") return;
  for (const line of question.split("\n").filter((each) => each.trim())) add(add($("answers"), "article"), "h2", line);
}

function say(text, busy = false) {
  const status = $("status");
  status.toggleAttribute("data-busy", busy);
  if (status.textContent !== text) status.textContent = text;
}

/** The message first, then what to do, then the way to the log. */
function complain(error) {
  const problem = error instanceof Problem ? error : new Problem(OWN.unexpected(error.message));
  const box = $("problem");
  box.replaceChildren();
  add(box, "p", problem.message, "what");
  if (problem.next) add(box, "p", problem.next);
  if (problem.offer) button(box, problem.offer.label, () => problem.offer.act().catch(complain));
  if (problem.run) link(box, OWN.log(problem.run), `${pageOf(problem.run)}/tasks/${TASK}`);
  box.hidden = false;
}
