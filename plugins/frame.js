"use strict";
// What a page of ours gets from the UI around it: its colours, and its window for links.

// The UI keeps its colour mode in localStorage; without one there, the system's counts.
const dark = matchMedia("(prefers-color-scheme: dark)");
function paint() {
  let chosen = null;
  try { chosen = localStorage.getItem("theme"); } catch { /* storage is blocked: the system's it is */ }
  const known = chosen === "dark" || chosen === "light";
  document.documentElement.dataset.theme = known ? chosen : dark.matches ? "dark" : "light";
}
addEventListener("storage", paint);
dark.addEventListener("change", paint);
paint();

// The frame in which the UI shows a page may not change the UI's own address; a link of the UI may.
addEventListener("click", (event) => {
  const link = event.target.closest("a[target=_top]");
  if (!link || parent === window || event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  const outer = parent.document.body.appendChild(parent.document.createElement("a"));
  outer.href = link.href;
  if (link.hasAttribute("download")) outer.download = link.download; // the frame may not, the UI may
  outer.click();
  outer.remove();
});

// Links to the Ask page lead somewhere only where the page is served.
addEventListener("DOMContentLoaded", () => {
  for (const link of document.querySelectorAll("a.ask[hidden]")) link.hidden = false;
});
