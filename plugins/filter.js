// The filter as the page shows it: a text, and a chip for each of its conditions that can be taken away.

/** The conditions that a filter joins by "and" at its top; the whole where it joins by something else, or is JSON. */
function conditions(text) {
  const whole = text.trim();
  if (!whole) return [];
  if (whole.startsWith("{")) return [whole];
  const parts = [""];
  let depth = 0, between = false;
  // Quoted values, names in backticks, brackets, words, and what is between them.
  for (const [token] of whole.matchAll(/"(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?|[“„][^“”„]*[”“]?|`[^`]*`?|[()]|[\p{L}\p{N}_]+|[^]/gu)) {
    if (token === "(") depth += 1;
    if (token === ")") depth -= 1;
    const word = depth === 0 ? token.toLowerCase() : "";
    if (word === "or") return [whole];
    if (word === "between") between = true;
    if (word === "and" && !between) { parts.push(""); continue; }
    if (word === "and") between = false;
    parts[parts.length - 1] += token;
  }
  return parts.map((part) => part.trim()).filter(Boolean);
}

/** A filter and one condition more: a filter in JSON gets it in JSON, one with an "or" at its top in brackets. */
function narrowed(text, condition, asJson) {
  const whole = text.trim();
  if (!whole) return condition;
  if (whole.startsWith("{")) return `{"must": [${whole}, ${JSON.stringify(asJson)}]}`;
  const parts = conditions(whole);
  if (parts.includes(condition)) return whole;
  return /^\(|\bor\b/i.test(whole) && parts.length === 1 ? `(${whole}) and ${condition}` : [...parts, condition].join(" and ");
}

/** A chip for each condition; `act` is called with the filter that is left without it. */
function showChips(text, act) {
  const box = $("chips");
  box.replaceChildren();
  const parts = conditions(text);
  box.hidden = !parts.length;
  if (!parts.length) return;
  add(box, "span", OWN.narrowedBy, "facts");
  parts.forEach((part, place) => {
    const chip = button(box, `${part} `, () => act(parts.filter((_, other) => other !== place).join(" and ")), "chip");
    add(chip, "span", "×").setAttribute("aria-hidden", "true");
    chip.setAttribute("aria-label", OWN.remove(part));
  });
}
