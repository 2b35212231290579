/**
 * How is a result moved with a mouse or a finger? By its handle: over another result it is pinned at that place, over a
 * zone it is lifted, lowered or hidden. Escape lets go. Whoever uses keys has buttons that do the same.
 */

const EDGE = 60;

/** @param {any} list @param {any} zones @param {{pin: (id: string, place: number) => void, aim: (kind: string, id: string) => void}} how */
export function draggable(list, zones, { pin, aim }) {
  /** @type {any} */
  let row = null;
  /** @type {any} */
  let over = null;
  const clear = () => {
    for (const each of [...list.children, ...zones.children]) each.classList.remove("over", "below", "dragged");
    row = over = null;
    document.removeEventListener("keydown", leave);
  };
  const leave = (/** @type {KeyboardEvent} */ event) => event.key === "Escape" && clear();
  list.addEventListener("pointerdown", (/** @type {PointerEvent} */ event) => {
    const handle = /** @type {any} */ (event.target).closest(".handle");
    if (!handle || event.button) return;
    event.preventDefault();
    row = handle.closest("li");
    row.classList.add("dragged");
    handle.setPointerCapture(event.pointerId);
    document.addEventListener("keydown", leave);
  });
  list.addEventListener("pointermove", (/** @type {PointerEvent} */ event) => {
    if (!row) return;
    over?.classList.remove("over", "below");
    const at = document.elementFromPoint(event.clientX, event.clientY);
    const target = at?.closest(".zone") || at?.closest("li[data-item]");
    over = target && target !== row && (zones.contains(target) || list.contains(target)) ? target : null;
    over?.classList.add("over");
    if (over?.dataset.place) over.classList.toggle("below", Number(over.dataset.place) > Number(row.dataset.place));
    const box = list.closest(".sticky");
    const scroller = box && box.scrollHeight > box.clientHeight ? box : document.scrollingElement;
    const [top, bottom] = scroller === box ? [box.getBoundingClientRect().top, box.getBoundingClientRect().bottom] : [0, innerHeight];
    if (event.clientY < top + EDGE) scroller.scrollTop -= 12;
    else if (event.clientY > bottom - EDGE) scroller.scrollTop += 12;
  });
  list.addEventListener("pointerup", () => {
    const moved = row?.dataset.item, target = over;
    clear();
    if (!moved || !target) return;
    if (target.dataset.zone) aim(target.dataset.zone, moved);
    else pin(moved, Number(target.dataset.place));
  });
  list.addEventListener("pointercancel", clear);
}
