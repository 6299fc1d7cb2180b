// Opens a figure in an overlay. Escape closes it; a click, + or - changes its size.
"use strict";
(() => {
  const links = [...document.querySelectorAll("a.zoom")];
  if (!links.length) return;
  const dialog = document.createElement("dialog");
  dialog.className = "lightbox";
  dialog.innerHTML = `<div class="bar"><button type="button" data-by="1.25" aria-label="Larger">+</button>
    <button type="button" data-by="0.8" aria-label="Smaller">−</button><a download>PNG</a><a class="vector" download>SVG</a>
    <button type="button" class="close">Close</button></div><div class="stage" tabindex="0"><img alt=""></div>`;
  document.body.append(dialog);
  const image = dialog.querySelector("img");
  const [png, svg] = dialog.querySelectorAll(".bar a");
  let scale = 1;

  const resize = (by) => {
    const stage = image.parentElement;
    const fitting = Math.min(stage.clientWidth, stage.clientHeight * (image.naturalWidth / image.naturalHeight || 1));
    scale = Math.min(6, Math.max(0.5, scale * by));
    image.style.width = `${scale * fitting}px`;
  };
  const open = (link) => {
    const small = link.querySelector("img");
    image.src = small.src;
    image.alt = small.alt;
    svg.href = link.href;
    png.hidden = !link.dataset.png;
    if (link.dataset.png) png.href = link.dataset.png;
    dialog.setAttribute("aria-label", small.alt);
    dialog.showModal();
    scale = 1;
    resize(1);
  };

  for (const link of links)
    link.addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      open(link);
    });
  for (const button of dialog.querySelectorAll("[data-by]"))
    button.addEventListener("click", () => resize(Number(button.dataset.by)));
  image.addEventListener("load", () => resize(1));
  image.addEventListener("click", () => resize(scale >= 2 ? 1 / scale : 2 / scale));
  dialog.querySelector(".close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  dialog.addEventListener("keydown", (event) => {
    if (event.key === "+" || event.key === "=") resize(1.25);
    else if (event.key === "-") resize(0.8);
  });
})();
