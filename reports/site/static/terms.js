// Explains terms: the title of a heading or an abbreviation is shown when it is pointed at, focused or touched.
"use strict";
(() => {
  const tip = document.createElement("div");
  Object.assign(tip, { id: "tip", hidden: true });
  tip.setAttribute("role", "tooltip");
  document.body.append(tip);
  let shown = null;
  let leaving = 0;

  const hide = () => {
    clearTimeout(leaving);
    shown?.removeAttribute("aria-describedby");
    shown = null;
    tip.hidden = true;
  };
  const place = () => {
    const { left, top, bottom } = shown.getBoundingClientRect();
    const below = bottom + 6 + tip.offsetHeight < innerHeight;
    tip.style.left = `${Math.max(8, Math.min(left, document.documentElement.clientWidth - tip.offsetWidth - 8))}px`;
    tip.style.top = `${below ? bottom + 6 : Math.max(8, top - 6 - tip.offsetHeight)}px`;
  };
  const show = (element, words) => {
    hide();
    shown = element;
    tip.textContent = words;
    tip.hidden = false;
    element.setAttribute("aria-describedby", tip.id);
    place();
  };
  const leave = () => {
    clearTimeout(leaving);
    leaving = setTimeout(hide, 200); // time to move the pointer to the explanation
  };

  for (const element of document.querySelectorAll("abbr[title], th button[title]")) {
    const words = element.title;
    element.removeAttribute("title"); // else the browser would show it, too
    if (element.tagName === "ABBR") element.tabIndex = 0;
    element.addEventListener("pointerenter", () => show(element, words));
    element.addEventListener("focus", () => show(element, words));
    element.addEventListener("click", () => show(element, words)); // a touch that gives no focus
    element.addEventListener("pointerleave", ({ pointerType }) => pointerType === "mouse" && leave());
    element.addEventListener("blur", hide);
  }
  tip.addEventListener("pointerenter", () => clearTimeout(leaving));
  tip.addEventListener("pointerleave", leave);
  document.addEventListener("keydown", ({ key }) => key === "Escape" && hide());
  document.addEventListener("pointerdown", ({ target }) => target !== shown && target !== tip && hide());
  addEventListener("scroll", () => shown && place(), { capture: true, passive: true });
})();
