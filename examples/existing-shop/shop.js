/**
 * The shop's own script: its basket lies in this browser. The lines that speak of `bodega` are all that was added to it:
 * what is looked at, put into the basket and bought is told, and counts for the list that led there.
 */
import { bodega } from "http://127.0.0.1:7700/client/v1/bodega-elements.js";

const basket = JSON.parse(localStorage.getItem("harbour.basket") || "[]");
const byId = (id) => document.getElementById(id);

function keep() {
  localStorage.setItem("harbour.basket", JSON.stringify(basket));
  document.querySelector("#basket output").textContent = String(basket.length);
}

// Lists of Bodega have a button of their own; it tells the event, the basket is ours.
document.addEventListener("bodega-cart", (event) => {
  basket.push({ id: event.detail.item.id, price: event.detail.item.price });
  keep();
});

const id = new URLSearchParams(location.search).get("id");
if (byId("title") && id) {
  for (const list of ["similar", "together"]) byId(list).setAttribute("items", id);
  bodega().view(id);
  const item = await bodega().item(id);
  byId("title").textContent = document.title = item.title;
  byId("price").textContent = item.price == null ? "" : `${item.price} ${item.currency || ""}`;
  byId("add").addEventListener("click", () => {
    basket.push({ id, price: item.price });
    keep();
    bodega().cart(id, { price: item.price });
  });
  byId("buy").addEventListener("click", async () => {
    await bodega().purchase(basket.map((line) => ({ item: line.id, price: line.price ?? undefined })));
    basket.length = 0;
    keep();
    byId("thanks").textContent = "Thank you.";
  });
}
byId("no-thanks")?.addEventListener("click", async () => {
  await bodega().consent({ personalisation: false, learning: false });
  byId("no-thanks").textContent = "You are not followed.";
  for (const list of document.querySelectorAll("bodega-list")) list.load();
});
keep();
