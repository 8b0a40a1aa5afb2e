// Was an answer right? Shown where the server takes the verdict; never of a question that could not be asked.
const verdicts = new Map();  // by run, what this user said of its answers

/** What this user has said of a run's answers, by position; null where no verdict can be given. */
function verdictsOf(run) {
  if (!verdicts.has(run)) verdicts.set(run, ours(`feedback/mine?run_id=${encodeURIComponent(run)}`));
  return verdicts.get(run);
}

/** Thumbs up and down below an answer; after "down", which product is the right one may be told. */
async function thumbs(card, run, position, own) {
  const box = add(card, "div", "", "thumbs");
  box.hidden = true;
  const said = await verdictsOf(run);
  if (!said) {
    verdicts.delete(run);  // it may have been a passing failure
    return;
  }
  add(box, "span", own.helpful, "facts");
  const thanks = document.createElement("span");
  const made = { up: button(box, own.up, () => send("up")), down: button(box, own.down, down) };
  const form = add(box, "form", "", "right");
  const label = add(form, "label", `${own.right} `);
  const field = add(label, "input");
  field.maxLength = 500;
  add(form, "button", own.send, "quiet");
  form.onsubmit = (event) => { event.preventDefault(); send("down", field.value.trim()); };
  thanks.setAttribute("role", "status");
  thanks.className = "facts";
  box.append(thanks);

  function show(verdict) {
    for (const [name, each] of Object.entries(made)) each.setAttribute("aria-pressed", String(name === verdict));
    form.hidden = verdict !== "down";
  }

  /** Said before, a further click asks for the right product again, and takes back none that was named. */
  function down() {
    if (said[position] !== "down") return send("down");
    form.hidden = false;
    field.focus();
  }

  async function send(verdict, right = "") {
    const body = { run_id: run, position, verdict, right: right || null, comment: null };
    const response = await fetch(`${OURS}/feedback`, { credentials: "same-origin", ...json("POST", body) }).catch(() => null);
    const told = await response?.json().catch(() => ({}));
    if (!response?.ok) {
      const detail = typeof told?.detail === "string" ? told.detail : "";
      thanks.textContent = !response ? OWN.noAnswer : response.status === 404 ? own.unjudged : OWN.status(response.status, detail);
      return;
    }
    said[position] = verdict;
    show(verdict);
    thanks.textContent = right && !told.right ? own.unclear : own.thanks;
    if (told.right) form.hidden = true;
    else if (verdict === "down") field.focus();
  }

  show(said[position]);
  form.hidden ||= Boolean(said[position]);  // it was said before
  box.hidden = false;
}
