// Products while a question is typed, where a resident asker finds them. Whatever goes wrong, the page does without.
const AFTER = 250, REST = 30_000;  // milliseconds without a key pressed, and without a request after one that failed
const FEWEST = 3, MOST_TYPED = 5;  // characters, products
let typing = null, restsUntil = 0;

/** No products, and none that come late. */
function hideTyped() {
  typing?.abort();
  $("typed").replaceChildren();
}

/** The products for the text in the field, if it is one question, soon. */
async function showTyped() {
  typing?.abort();
  const question = $("question").value.trim(), filter = $("filter").value.trim();
  const one = !question.includes("\n") && [...question].length >= FEWEST && !tooLong(question);
  if (!one || Date.now() < restsUntil) return hideTyped();
  const { signal } = typing = new AbortController();
  try {
    await pause(AFTER, signal);
    const query = new URLSearchParams({ q: question, top_k: MOST_TYPED, ...(filter && { filter }) });
    const response = await fetch(`${OURS}/search?${query}`, { credentials: "same-origin", signal });
    // No asker, or no right to use it: none until the page is loaded again. A filter that is half typed is no failure.
    if (!response.ok && response.status !== 400) restsUntil = response.status < 500 ? Infinity : Date.now() + REST;
    listTyped(response.ok ? (await response.json()).products : []);
  } catch {
    if (signal.aborted) return;  // more was typed, or it is asked by now
    restsUntil = Date.now() + REST;
    hideTyped();
  }
}

function listTyped(products) {
  const box = $("typed");
  box.replaceChildren();
  if (!products.length) return;
  add(box, "h2", OWN.typed);
  const list = add(box, "ol");
  list.setAttribute("aria-label", OWN.typed);
  for (const { title } of products) add(list, "li", title || OWN.untitled, "title");
}

for (const name of ["question", "filter"]) $(name).addEventListener("input", showTyped);
addEventListener("keydown", (event) => { if (event.key === "Escape") hideTyped(); });
