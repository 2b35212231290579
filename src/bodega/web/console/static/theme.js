/**
 * Light or dark? What the person chose here, before anything is drawn; without a choice the system's. A plain script, so
 * that no page flashes in the other colours.
 */
(() => {
  let chosen = "";
  try {
    chosen = localStorage.getItem("bodega.theme") || "";
  } catch {
    /* no storage: the system's choice */
  }
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
})();
